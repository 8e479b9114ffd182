package tokens

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"time"
)

// processMemory is the memory of a hash process beside its hash, in bytes: the
// runtime, the pages of the program, and garbage.
const processMemory = 16 << 20

// maxReply bounds one reply of a hash process, in bytes.
const maxReply = 1024

// hashRequest asks a hash process for one hash. Requests are numbered from 1, so
// that a superfluous reply is not taken for that to the next password.
type hashRequest struct {
	Number int
	hashTask
}

// hashReply answers the request of the same number. A process sends number 0 when
// it is ready.
type hashReply struct {
	Number int
	hashResult
}

// ServeHashes computes the hashes that a [Hasher] with [Params].Command in another
// process asks for. It returns when in ends, as it does when that process dies.
func ServeHashes(in io.Reader, out io.Writer) error {
	requests, replies := json.NewDecoder(in), json.NewEncoder(out)
	reply := hashReply{}
	for {
		if err := replies.Encode(reply); err != nil {
			return fmt.Errorf("writing to the process that wants hashes: %w", err)
		}
		runtime.GC() // frees the memory of the hash; the collector is off otherwise, see hashProcessEnvironment
		var q hashRequest
		switch err := requests.Decode(&q); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return errors.New("reading from the process that wants hashes: not a request")
		}
		result, err := thisProcess{}.compute(q.hashTask)
		if err != nil {
			return fmt.Errorf("hashing password: %w", err)
		}
		reply = hashReply{q.Number, result}
	}
}

// hashProcessEnvironment returns the whole environment of a hash process, without any
// secret. The garbage collector runs after each hash, so that the process holds the
// memory of one. The memory limit makes the runtime return the memory of a stored hash
// that costs more than p.
func hashProcessEnvironment(p Params) []string {
	return []string{
		fmt.Sprintf("GOMAXPROCS=%d", p.Parallelism),
		fmt.Sprintf("GOMEMLIMIT=%d", int64(p.Memory)<<10+processMemory),
		"GOGC=off",
	}
}

// hashProcess is a running child process. One goroutine at a time uses it.
type hashProcess struct {
	cmd     *exec.Cmd
	in      io.Writer
	out     *bufio.Reader
	asked   int         // requests sent
	expires *time.Timer // runs while the process is idle
}

// startHashProcess starts a process with a command line and an environment. The
// process must be ended.
func startHashProcess(line, environment []string) (*hashProcess, error) {
	cmd := exec.Command(line[0], line[1:]...)
	cmd.Args[0] = os.Args[0] // ps shows it instead of /proc/self/exe
	cmd.Env = environment
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &hashProcess{cmd: cmd, in: in, out: bufio.NewReaderSize(out, maxReply)}, nil
}

// ready waits until the process takes requests. After an error the process must be
// ended.
func (c *hashProcess) ready(limit time.Duration) error {
	_, err := c.within(limit, c.receive)
	return err
}

// ask computes a task. After an error the process must be ended.
func (c *hashProcess) ask(t hashTask, limit time.Duration) (hashResult, error) {
	return c.within(limit, func() (hashResult, error) {
		c.asked++
		q, err := json.Marshal(hashRequest{c.asked, t})
		if err != nil {
			return hashResult{}, err
		}
		if _, err := c.in.Write(append(q, '\n')); err != nil {
			return hashResult{}, err
		}
		r, err := c.receive()
		if err == nil && t.Stored == "" && !t.fits(r.Made) {
			err = errNonsense
		}
		return r, err
	})
}

// errNonsense does not quote the reply.
var errNonsense = errors.New("the reply is not in the form of one")

// receive reads the reply to the last request.
func (c *hashProcess) receive() (hashResult, error) {
	line, err := c.out.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		return hashResult{}, errNonsense
	}
	if err != nil {
		return hashResult{}, fmt.Errorf("reading the reply: %w", err)
	}
	var r hashReply
	if json.Unmarshal(line, &r) != nil || r.Number != c.asked {
		return hashResult{}, errNonsense
	}
	return r.hashResult, nil
}

// within kills the process if do takes longer than limit, so that do fails.
func (c *hashProcess) within(limit time.Duration, do func() (hashResult, error)) (hashResult, error) {
	deadline := time.AfterFunc(limit, c.kill)
	r, err := do()
	if !deadline.Stop() {
		err = fmt.Errorf("no reply within %v", limit)
	}
	return r, err
}

// kill makes the process end, also while another goroutine uses it. It has no state
// that a kill could damage.
func (c *hashProcess) kill() {
	_ = c.cmd.Process.Kill() // fails if the process has ended
}

// end kills the process, waits for its end, and returns how it ended: killed, unless
// it was the first to end.
func (c *hashProcess) end() *os.ProcessState {
	c.kill()
	_ = c.cmd.Wait() // says the same as the state
	return c.cmd.ProcessState
}
