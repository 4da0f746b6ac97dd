// The test writes an invocation here.
