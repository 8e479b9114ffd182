// Package embedded is a small database server inside the process that speaks
// MongoDB's wire protocol, durable on one bbolt file.
package embedded
