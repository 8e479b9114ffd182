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
}

var largeStructs = exceptions{ // fields
}

var methodHeavyTypes = exceptions{ // methods
}
