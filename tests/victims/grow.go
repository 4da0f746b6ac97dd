// A victim whose goroutines grow their stacks all the time: the runtime moves them, and nothing below a stack pointer is
// free. Checks every result, prints a line now and then, ends with its input.
package main

import (
	"fmt"
	"os"
	"time"
)

//go:noinline
func deep(n int) int {
	var pad [64]byte
	pad[n%64] = byte(n)
	if n == 0 {
		return 0
	}
	return deep(n-1) + 1 + int(pad[(n+1)%64])
}

func main() {
	// Opens what the runtime waits on, which it would do at some later moment.
	if r, w, err := os.Pipe(); err == nil {
		r.Close()
		w.Close()
	}
	go func() {
		os.Stdin.Read(make([]byte, 1))
		os.Exit(0)
	}()
	results := make(chan int)
	for g := 0; g < 8; g++ {
		go func() {
			for {
				done := make(chan int)
				go func() { done <- deep(2000) }()
				results <- <-done
			}
		}()
	}
	last := time.Now()
	for round := 0; ; round++ {
		if r := <-results; r != 2000 {
			fmt.Println("DAMAGED", r)
			os.Exit(3)
		}
		// Silent until it has the threads and the memory that it needs.
		if round >= 500 && time.Since(last) > 5*time.Millisecond {
			last = time.Now()
			fmt.Println(round)
		}
	}
}
