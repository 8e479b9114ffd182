package shape

// The lists of what exceeds a bound today. They end with the moves that split
// what they name.

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
	"Accounts": 2,
}

var largeStructs = exceptions{ // fields
	"resolvers Auth": 25,
}

var methodHeavyTypes = exceptions{ // methods
	"resolvers Auth": 56,
}
