// Command simulator is a vCenter for tests: govmomi's simulator library with what the tests rely on repaired or added.
//
// It reads its configuration as one line of JSON from standard input, prints one line of JSON once it answers, and ends
// when standard input ends: it never outlives the program that started it.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	log.SetOutput(io.Discard) // the library's chatter
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "simulator:", err)
		os.Exit(1)
	}
}

func run(in io.Reader, out io.Writer) error {
	reader := bufio.NewReader(in)
	config, err := readConfig(reader)
	if err != nil {
		return err
	}
	v, err := newVCenter(config)
	if err != nil {
		return err
	}
	defer v.model.Remove()
	api, err := v.serveAPI()
	if err != nil {
		return err
	}
	admin, err := v.serveAdmin()
	if err != nil {
		return err
	}
	ready := map[string]interface{}{"url": "https://" + api + "/sdk", "address": api, "admin": admin, "pid": os.Getpid()}
	if err := json.NewEncoder(out).Encode(ready); err != nil {
		return err
	}
	waitForEnd(reader)
	return nil
}

// waitForEnd returns when standard input ends or a signal asks for it.
func waitForEnd(in io.Reader) {
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		_, _ = io.Copy(io.Discard, in)
		end <- syscall.SIGTERM
	}()
	<-end
}
