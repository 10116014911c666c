// Uses Nomad's public Go SDK, unmodified, against the agent at NOMAD_ADDR: registers a job, waits for it with
// blocking queries, reads its logs and files, runs a command in it, and stops it.
package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/hashicorp/nomad/api"
)

func must[T any](value T, err error) T {
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
	return value
}

func check(ok bool, what string, args ...any) {
	if !ok {
		fmt.Fprintf(os.Stderr, "error: "+what+"\n", args...)
		os.Exit(1)
	}
	fmt.Printf("ok: "+what+"\n", args...)
}

const name = "go-sdk"

func job() *api.Job {
	task := api.NewTask("main", "raw_exec").
		SetConfig("command", "/bin/sh").
		SetConfig("args", []string{"-c", "echo from go; trap 'exit 0' INT TERM; while :; do sleep 0.1; done"})
	group := api.NewTaskGroup("app", 1).AddTask(task)
	return api.NewServiceJob(name, name, "global", 50).AddTaskGroup(group)
}

// The newest allocation of the job in that status, waited for with blocking queries.
func wait(client *api.Client, status string) *api.AllocationListStub {
	index := uint64(0)
	deadline := time.Now().Add(30 * time.Second)
	for time.Now().Before(deadline) {
		options := &api.QueryOptions{WaitIndex: index, WaitTime: 5 * time.Second}
		allocs, meta, err := client.Jobs().Allocations(name, false, options)
		must(allocs, err)
		for _, alloc := range allocs {
			if alloc.ClientStatus == status {
				return alloc
			}
		}
		check(meta.LastIndex > 0, "blocking queries have an index (%d)", meta.LastIndex)
		index = meta.LastIndex
	}
	check(false, "an allocation is %s", status)
	return nil
}

func main() {
	client := must(api.NewClient(api.DefaultConfig()))
	self := must(client.Agent().Self())
	check(self.Member.Name != "", "the agent tells its name: %s", self.Member.Name)
	check(must(client.Status().Leader()) != "", "there is a leader")

	response, _, err := client.Jobs().Register(job(), nil)
	must(response, err)
	check(response.EvalID != "", "the job is registered")
	stub := wait(client, "running")
	alloc, _, err := client.Allocations().Info(stub.ID, nil)
	must(alloc, err)
	check(alloc.Job != nil && *alloc.Job.ID == name, "the allocation carries its job")

	cancel := make(chan struct{})
	defer close(cancel)
	frames, errs := client.AllocFS().Logs(alloc, true, "main", "stdout", "start", 0, cancel, nil)
	var text string
	for !strings.Contains(text, "from go") {
		select {
		case frame := <-frames:
			text += string(frame.Data)
		case err := <-errs:
			must(text, err)
		case <-time.After(20 * time.Second):
			check(false, "the log has come, so far %q", text)
		}
	}
	check(true, "the log is followed: %q", strings.TrimSpace(text))
	files, _, err := client.AllocFS().List(alloc, "/", nil)
	must(files, err)
	check(len(files) == 2, "the directory is listed: %d entries", len(files))
	reader := must(client.AllocFS().Cat(alloc, "alloc/logs/main.stdout.0", nil))
	content := must(io.ReadAll(reader))
	check(strings.Contains(string(content), "from go"), "a file is read")

	var stdout, stderr bytes.Buffer
	ctx, stop := context.WithTimeout(context.Background(), 20*time.Second)
	defer stop()
	command := []string{"/bin/sh", "-c", "echo inside; cat; exit 5"}
	code, err := client.Allocations().Exec(ctx, alloc, "main", false, command,
		strings.NewReader("typed"), &stdout, &stderr, nil, nil)
	must(code, err)
	check(code == 5 && stdout.String() == "inside\ntyped", "a command runs in the task: %d %q", code, stdout.String())

	eval, _, err := client.Jobs().Deregister(name, false, nil)
	must(eval, err)
	check(eval != "", "the job is stopped")
	wait(client, "complete")
	fmt.Println("done")
}
