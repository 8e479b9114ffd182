package shape

// The exceptions of today. Each list becomes empty when the code that it names changes.

var longFunctions = exceptions{ // lines
}

var longFiles = exceptions{ // lines
}

var deepFunctions = exceptions{ // levels
}

var sameParameters = exceptions{ // adjacent parameters of one type
}

var largeInterfaces = exceptions{ // methods
}

var repeatedInterfaces = exceptions{ // declarations
}

var largeStructs = exceptions{ // fields
}

var methodHeavyTypes = exceptions{ // methods
}

var sleepingTests = exceptions{ // calls of time.Sleep
	// Helpers that only tests in a bubble call.
	"connectycube/sandbox/chat loadClient.run": 1,
	"connectycube/sandbox/chat testLoad":       2,
	"middleware gated":                         1,
	"middleware router":                        1,
	"resolvers/provisioning memory.SignUp":     1,
	"resolvers/transport readAnswer":           1,
	"tokens askAndHangUp":                      2,
	"tokens askAsLoginDoes":                    1,
	"tokens attack":                            3,
	"tokens crowdWith":                         3,
	"tokens logins":                            3,
	"tokens randomQueue.forgetfulStep":         1,
	"tokens randomQueue.step":                  1,
	"tokens waits.ask":                         1,
	"tokens testRotationUnderLoad":             2,

	// Polls of a condition of another process or connection, which has no event.
	"connectycube/sandbox eventually":                                 1,
	"connectycube/sandbox/chat waitFor":                               1,
	"connectycube/sandbox/core TestOldDataFileGetsArgon2idAtOnce":     1,
	"connectycube/sandbox/rest TestArrivingUploadsAreBoundedTogether": 1,
	"middleware waitFor":                                              1,
	"resolvers/provisioning TestWorkerBacksOffFromAnOpenBreaker":      1,
	"server/servertest Eventually":                                    1,
	"store/embedded TestMessagesInFlightAreBounded":                   1,
	"store/embedded waitUntil":                                        1,
	"tokens eventually":                                               1,

	// The pace of a benchmark.
	"connectycube/sandbox/chat mode.wait": 1,
}
