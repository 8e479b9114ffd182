package main

import (
	_ "github.com/alexedwards/argon2id"
	_ "github.com/go-chi/chi/v5"
	_ "github.com/go-chi/cors"
	_ "github.com/google/go-cmp/cmp"
	_ "github.com/graph-gophers/graphql-go"
	_ "github.com/hashicorp/golang-lru/v2"
	_ "github.com/lestrrat-go/jwx/v2/jwt"
	_ "github.com/spf13/viper"
	_ "github.com/subosito/gotenv"
	_ "github.com/vektah/gqlparser/v2"
	_ "github.com/vektah/gqlparser/v2/parser"
	_ "github.com/vektah/gqlparser/v2/formatter"
	_ "github.com/vektah/gqlparser/v2/validator"
	_ "go.etcd.io/bbolt"
	_ "go.mongodb.org/mongo-driver/mongo"
	_ "go.mongodb.org/mongo-driver/x/bsonx/bsoncore"
	_ "go.mongodb.org/mongo-driver/x/mongo/driver/wiremessage"
	_ "golang.org/x/crypto/bcrypt"
	_ "golang.org/x/net/idna"
	_ "golang.org/x/text/unicode/norm"
	_ "golang.org/x/time/rate"
	_ "golang.org/x/tools/txtar"
)

func main() {}
