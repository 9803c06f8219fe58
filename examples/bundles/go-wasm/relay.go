// Relays standard input to standard output line by line, through a channel between two goroutines, with a pause.
package main

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"time"
)

func read(lines chan<- string) {
	defer close(lines)
	input := bufio.NewScanner(os.Stdin)
	for input.Scan() {
		lines <- input.Text()
	}
}

func main() {
	lines := make(chan string)
	go read(lines)
	count := 0
	for line := range lines {
		time.Sleep(10 * time.Millisecond)
		fmt.Println(os.Getenv("PREFIX") + line)
		count++
	}
	fmt.Fprintf(os.Stderr, "%d lines relayed on %s/%s\n", count, runtime.GOOS, runtime.GOARCH)
}
