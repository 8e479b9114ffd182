package server

const OtherJWTSecret = "another secret that is long enough: Zk3u81hQ"
