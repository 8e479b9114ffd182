package servertest

// OtherJWTSecret replaces JWTSecret where a secret changes.
const OtherJWTSecret = "another secret that is long enough: Zk3u81hQ"
