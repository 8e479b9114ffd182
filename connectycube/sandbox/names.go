package sandbox

import (
	"cubegate/connectycube/sandbox/control"
	"cubegate/connectycube/sandbox/core"
)

// The types in the methods that a Sandbox takes from its Application.
type (
	CIdP     = core.CIdP
	Settings = core.Settings
	Fault    = core.Fault
	Entry    = core.Entry
	Outgoing = core.Outgoing

	Seed        = core.Seed
	SeedUser    = core.SeedUser
	SeedDialog  = core.SeedDialog
	SeedMessage = core.SeedMessage
	Seeded      = core.Seeded

	State        = core.State
	Totals       = core.Totals
	UserState    = core.UserState
	SessionState = core.SessionState
	DialogState  = core.DialogState
	MessageState = core.MessageState
	SocketState  = core.SocketState
	DeviceState  = core.DeviceState
	ClockState   = core.ClockState
)

// The values of a Fault and of an Outgoing; see package core.
const (
	OnREST = core.OnREST
	OnChat = core.OnChat

	FaultStatus     = core.FaultStatus
	FaultHang       = core.FaultHang
	FaultReset      = core.FaultReset
	FaultLostAnswer = core.FaultLostAnswer
	FaultSlow       = core.FaultSlow
	FaultEmpty      = core.FaultEmpty
	FaultHTML       = core.FaultHTML
	FaultTruncated  = core.FaultTruncated
	FaultDuplicate  = core.FaultDuplicate
	FaultDrop       = core.FaultDrop
	FaultHalfOpen   = core.FaultHalfOpen
	FaultDelay      = core.FaultDelay
	FaultRefuse     = core.FaultRefuse

	OutgoingMail = core.OutgoingMail
	OutgoingPush = core.OutgoingPush
)

// Snippet is the code that connects an app to the sandbox; see package control.
type Snippet = control.Snippet

// ErrInUse means that another process keeps its state in the file.
var ErrInUse = core.ErrInUse
