package server

const newSecret = "another secret that is long enough: Zk3u81hQ"
