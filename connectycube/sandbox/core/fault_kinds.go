package core

// FaultKind describes a kind of Fault for a form: its meaning, and the parameters that
// it has beside those of its target.
type FaultKind struct {
	On      string `json:"on"`
	Kind    string `json:"kind"`
	Meaning string `json:"meaning"`
	Status  string `json:"status"` // Required, Optional or Unused
	Delay   string `json:"delay"`  // Required or Optional
}

// The values of the parameters of a FaultKind.
const (
	Required = "required"
	Optional = "optional"
	Unused   = "unused"
)

// FaultKinds are all kinds of Fault, by target.
var FaultKinds = []FaultKind{
	{OnREST, FaultStatus, "Answers with an error status. The request has no effect.", Required, Optional},
	{OnREST, FaultSlow, "Waits, then handles the request as usual.", Unused, Required},
	{OnREST, FaultHang, "Never answers, for at most a minute. The request has no effect.", Unused, Optional},
	{OnREST, FaultReset, "Cuts the connection. The request has no effect.", Unused, Optional},
	{OnREST, FaultLostAnswer, "Handles the request, then cuts the connection.", Unused, Optional},
	{OnREST, FaultTruncated, "Handles the request, sends half of the answer and cuts the connection.", Unused, Optional},
	{OnREST, FaultDuplicate, "Handles the request twice, as after a proxy that repeats.", Unused, Optional},
	{OnREST, FaultEmpty, "Answers without a body: 200, or the given status. No effect.", Optional, Optional},
	{OnREST, FaultHTML, "Answers with an HTML page: 502, or the given status. No effect.", Optional, Optional},
	{OnChat, FaultDrop, "Cuts the socket. The stanza is not handled.", Unused, Optional},
	{OnChat, FaultHalfOpen, "Keeps the socket open and sends nothing more.", Unused, Optional},
	{OnChat, FaultDelay, "The stanza, and all later ones, wait.", Unused, Required},
	{OnChat, FaultDuplicate, "The stanza arrives twice.", Unused, Optional},
	{OnChat, FaultLostAnswer, "Handles the stanza, then cuts the socket.", Unused, Optional},
	{OnChat, FaultRefuse, "Answers the stanza with an error.", Unused, Optional},
}

// kindsOn returns the names of the kinds of a target.
func kindsOn(target string) (kinds []string) {
	for _, k := range FaultKinds {
		if k.On == target {
			kinds = append(kinds, k.Kind)
		}
	}
	return kinds
}
