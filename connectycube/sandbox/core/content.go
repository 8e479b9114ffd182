package core

import (
	"bufio"
	"errors"
	"io"
)

// The reasons why a bucket refuses content.
var (
	ErrNoRoom   = errors.New("no room for the file")
	ErrTooLarge = errors.New("file is too large")
)

// Content is the uploaded content of a file. It consists of pieces that are never
// copied into larger ones, so the memory holds exactly the bytes that the bucket
// counts. A complete content never changes.
type Content struct {
	pieceSize int // of all pieces except the last, which may be shorter
	pieces    [][]byte
	size      int64

	readers int  // running downloads; the bucket's lock guards it
	isGone  bool // no file has it; its bytes count until the last download ends
}

// ReadAt implements io.ReaderAt.
func (c *Content) ReadAt(p []byte, at int64) (n int, err error) {
	for n < len(p) && at < c.size {
		piece := c.pieces[at/int64(c.pieceSize)]
		m := copy(p[n:], piece[at%int64(c.pieceSize):])
		n, at = n+m, at+int64(m)
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// Reader returns a reader of the whole content.
func (c *Content) Reader() io.ReadSeeker { return io.NewSectionReader(c, 0, c.size) }

// Read reads content, each piece only if there is room for it. On an error no bytes
// stay reserved.
func (b *Bucket) Read(from io.Reader, uid string) (*Content, error) {
	c := &Content{pieceSize: b.pieceSize}
	in := bufio.NewReaderSize(from, 16) // detects the end before it reserves another piece
	for {
		_, err := in.Peek(1)
		if err == io.EOF {
			return c, nil
		}
		if err == nil {
			err = b.readPiece(in, c, uid)
		}
		if err != nil {
			b.release(c.size)
			return nil, err
		}
	}
}

// readPiece appends one piece to c. On an error it reserves nothing.
func (b *Bucket) readPiece(from io.Reader, c *Content, uid string) error {
	if !b.reserve(int64(b.pieceSize), uid) {
		return ErrNoRoom
	}
	piece := make([]byte, b.pieceSize)
	n, err := readFull(from, piece)
	if err == nil && c.size+int64(n) > MaxBlobBytes {
		err = ErrTooLarge
	}
	if err != nil {
		b.release(int64(b.pieceSize))
		return err
	}
	if n < len(piece) {
		piece = append(make([]byte, 0, n), piece[:n]...)
		b.release(int64(b.pieceSize - n))
	}
	c.pieces, c.size = append(c.pieces, piece), c.size+int64(n)
	return nil
}

// readFull reads until p is full or the input ends. Unlike io.ReadFull it keeps an
// io.ErrUnexpectedEOF of the input apart from its end: a truncated body is an error.
func readFull(from io.Reader, p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		var m int
		m, err = from.Read(p[n:])
		n += m
	}
	if err == io.EOF {
		err = nil
	}
	return n, err
}
