package load

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// answerTimeout bounds the wait for one answer.
const answerTimeout = 30 * time.Second

// maxAnswer bounds the bytes of an answer.
const maxAnswer = 1 << 20

// Client is a user with one connection. It is not safe for concurrent use.
type Client struct {
	host   string
	values map[string]string
	choice map[string][]string // each request gets one of them at random
	number *atomic.Int64       // of the last request of the run

	conn   net.Conn
	reader *bufio.Reader
}

// Clients prepares n clients of the server at a URL.
func (s *Spec) Clients(ctx context.Context, n int) ([]*Client, error) {
	if err := checkURL(s.URL); err != nil {
		return nil, err
	}
	var numbers atomic.Int64
	numbers.Store(time.Now().UnixMilli() % 1e9 * 1000) // a server that keeps its data has none of them
	clients := make([]*Client, 0, n)
	host := strings.TrimPrefix(s.URL, "http://")
	once := &Client{host: host, values: map[string]string{"client": "0", "url": s.URL}, number: &numbers}
	defer once.Close()
	if err := once.sendAll(s.Once); err != nil {
		return nil, err
	}
	for i := range n {
		if ctx.Err() != nil {
			CloseAll(clients)
			return nil, ctx.Err()
		}
		c := &Client{host: host, values: maps.Clone(once.values), number: &numbers}
		clients = append(clients, c)
		c.values["client"] = strconv.Itoa(i + 1)
		if err := c.sendAll(s.Client); err != nil {
			CloseAll(clients)
			return nil, err
		}
	}
	return clients, nil
}

// CloseAll closes the connections of all clients.
func CloseAll(clients []*Client) {
	for _, c := range clients {
		c.Close()
	}
}

// Close closes the connection. A later request opens another one.
func (c *Client) Close() {
	if c.conn != nil {
		_ = c.conn.Close()
		c.conn = nil
	}
}

// Choose gives each later request one of the values at random; without values, that which
// an answer gave.
func (c *Client) Choose(name string, values []string) {
	if len(values) == 0 {
		delete(c.choice, name)
		return
	}
	if c.choice == nil {
		c.choice = map[string][]string{}
	}
	c.choice[name] = values
}

// next returns the bytes of the next request.
func (c *Client) next(r Request) ([]byte, error) {
	c.values["n"] = strconv.FormatInt(c.number.Add(1), 10)
	for name, values := range c.choice {
		c.values[name] = values[rand.IntN(len(values))]
	}
	message, err := r.message(c.host, c.values)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", r.Path, err)
	}
	return message, nil
}

func (c *Client) sendAll(list []Request) error {
	for _, r := range list {
		for range max(1, r.Repeat) {
			if err := c.Send(r); err != nil {
				return err
			}
		}
	}
	return nil
}

// ErrUnwanted is the error of an answer that is not the wanted one.
var ErrUnwanted = errors.New("unwanted answer")

// Send sends a request and takes values from the answer. It never repeats a request.
func (c *Client) Send(r Request) error {
	message, err := c.next(r)
	if err != nil {
		return err
	}
	answer, body, err := c.exchange(message)
	if err != nil {
		c.Close()
		return fmt.Errorf("%s: %w", r.Path, err)
	}
	if answer.Close {
		c.Close()
	}
	wanted := answer.StatusCode == r.Status || r.Status == 0 && answer.StatusCode < http.StatusMultipleChoices
	if !wanted || !strings.Contains(string(body), r.Has) || r.Lacks != "" && strings.Contains(string(body), r.Lacks) {
		return fmt.Errorf("%s: %w: %d %.300s", r.Path, ErrUnwanted, answer.StatusCode, body)
	}
	return c.take(r, answer, body)
}

// HangUp sends a request and closes the connection without waiting for the answer.
func (c *Client) HangUp(r Request) error {
	message, err := c.next(r)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.dial(); err != nil {
		return err
	}
	_, err = c.conn.Write(message)
	return err
}

func (c *Client) dial() (err error) {
	if c.conn != nil {
		return nil
	}
	if c.conn, err = net.DialTimeout("tcp", c.host, answerTimeout); err == nil {
		c.reader = bufio.NewReader(c.conn)
	}
	return err
}

// exchange sends the bytes of a request and reads the answer.
func (c *Client) exchange(message []byte) (*http.Response, []byte, error) {
	if err := c.dial(); err != nil {
		c.conn = nil
		return nil, nil, err
	}
	_ = c.conn.SetDeadline(time.Now().Add(answerTimeout))
	if _, err := c.conn.Write(message); err != nil {
		return nil, nil, err
	}
	answer, err := http.ReadResponse(c.reader, nil)
	if err != nil {
		return nil, nil, err
	}
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer+1))
	if err == nil && len(body) > maxAnswer {
		err = fmt.Errorf("the answer has more than %d bytes", maxAnswer)
	}
	return answer, body, errors.Join(err, answer.Body.Close())
}

// take stores the values of an answer that r names.
func (c *Client) take(r Request, answer *http.Response, body []byte) error {
	if len(r.Take) == 0 {
		return nil
	}
	var decoded any
	_ = json.Unmarshal(body, &decoded) // all values may come from headers
	for name, from := range r.Take {
		value, ok := "", false
		if header, isHeader := strings.CutPrefix(from, "header:"); isHeader {
			value, _, _ = strings.Cut(answer.Header.Get(header), ";") // the attributes of a cookie
			ok = value != ""
		} else {
			value, ok = member(decoded, from)
		}
		if !ok {
			return fmt.Errorf("%s: the answer lacks %s: %.300s", r.Path, from, body)
		}
		c.values[name] = value
	}
	return nil
}

// member returns a string or number in decoded JSON, by its path with dots.
func member(decoded any, path string) (string, bool) {
	for name := range strings.SplitSeq(path, ".") {
		object, ok := decoded.(map[string]any)
		if !ok {
			return "", false
		}
		decoded = object[name]
	}
	switch v := decoded.(type) {
	case string:
		return v, v != ""
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), true
	}
	return "", false
}
