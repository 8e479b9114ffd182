//go:build !linux

package server

func returnPages() {}
