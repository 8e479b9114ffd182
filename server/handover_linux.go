package server

import (
	"errors"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// ignoreSYN is a socket filter (man 7 socket, SO_ATTACH_FILTER) that drops segments with
// SYN and without ACK, and so only the first segment of a connection. It sees a segment
// from its TCP header on; the flags are byte 13 (RFC 9293, section 3.1).
var ignoreSYN = []unix.SockFilter{
	{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: 13},
	{Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: synFlag | ackFlag},
	{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jt: 1, K: synFlag},
	{Code: unix.BPF_RET | unix.BPF_K, K: 0xffffffff}, // the whole segment
	{Code: unix.BPF_RET | unix.BPF_K, K: 0},          // nothing of it
}

const synFlag, ackFlag = 0x02, 0x10

// ignoreNewConnections makes the kernel ignore attempts to connect to a listener. It
// reports whether the system can.
func ignoreNewConnections(ln net.Listener) bool {
	filter := unix.SockFprog{Len: uint16(len(ignoreSYN)), Filter: &ignoreSYN[0]}
	return onSocket(ln, func(fd int) error {
		return unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &filter)
	}) == nil
}

// hasQueue reports whether connections to a listener wait to be accepted. TCP_INFO of a
// listener has their number in this field (tcp_get_info in the kernel's net/ipv4/tcp.c).
func hasQueue(ln net.Listener) bool {
	var info *unix.TCPInfo
	err := onSocket(ln, func(fd int) (err error) {
		info, err = unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
		return err
	})
	return err == nil && info.Unacked > 0
}

// onSocket calls do with the descriptor of a listener.
func onSocket(ln net.Listener, do func(fd int) error) error {
	socket, ok := ln.(syscall.Conn)
	if !ok {
		return errors.ErrUnsupported
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) { failed = do(int(fd)) })
	return errors.Join(err, failed)
}
