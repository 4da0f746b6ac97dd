// Goroutines that dereference nil and recover: the runtime makes a panic of each SIGSEGV, and one that is lost or comes twice
// ends the program or changes a count. Prints a line now and then, ends with its input.
package main

import (
	"fmt"
	"io"
	"os"
	"time"
)

type thing struct {
	filler [16]byte
	value  int
}

//go:noinline
func value(of *thing) int { return of.value }

func attempt(n int) (recovered int) {
	defer func() {
		if recover() != nil {
			recovered = n + 1
		}
	}()
	return value(nil)
}

func main() {
	// Opens what the runtime waits on, which it would do at some later moment.
	if r, w, err := os.Pipe(); err == nil {
		r.Close()
		w.Close()
	}
	go func() {
		if n, err := os.Stdin.Read(make([]byte, 1)); n != 0 || err != io.EOF {
			fmt.Println("DAMAGED: a read of nothing but an end answers", n, err)
			os.Exit(3)
		}
		os.Exit(0)
	}()
	results := make(chan int)
	for g := 0; g < 4; g++ {
		go func() {
			for {
				sum := 0
				for n := 0; n < 100; n++ {
					sum += attempt(n)
				}
				results <- sum
			}
		}()
	}
	last := time.Now()
	for round := 0; ; round++ {
		if sum := <-results; sum != 5050 {
			fmt.Println("DAMAGED: recovered", sum)
			os.Exit(3)
		}
		// Silent until it has the threads and the memory that it needs.
		if round >= 500 && time.Since(last) > 5*time.Millisecond {
			last = time.Now()
			fmt.Println(round)
		}
	}
}
