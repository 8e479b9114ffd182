package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"strings"

	"cubegate/store"
	"cubegate/store/embedded"
	"cubegate/tokens"
)

// checkDataDir checks that this user may write DATA_DIR, and that others may not read it.
func (d localChecks) checkDataDir(context.Context) finding {
	if !d.cfg.HasEmbeddedDatabase() && !d.cfg.HasSandbox() {
		return skipped("nothing is kept in DATA_DIR")
	}
	info, err := os.Stat(d.cfg.DataDir)
	if errors.Is(err, fs.ErrNotExist) {
		return found("%s does not exist yet; the first start makes it", d.cfg.DataDir)
	}
	if err == nil && !info.IsDir() {
		return failedBy(d.cfg.DataDir+" is not a folder", "set DATA_DIR to a folder")
	}
	var probe *os.File
	if err == nil {
		probe, err = os.CreateTemp(d.cfg.DataDir, ".doctor-*")
	}
	if err != nil {
		return failedBy(fmt.Sprintf("no file can be made in DATA_DIR=%s: %s", d.cfg.DataDir, reasonOf(err)), folderCure(err))
	}
	if err := errors.Join(probe.Close(), os.Remove(probe.Name())); err != nil {
		return failedBy(err.Error(), "look at the disk of DATA_DIR")
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return warningOf(fmt.Sprintf("other users may enter %s (mode %04o)", d.cfg.DataDir, info.Mode().Perm()), "chmod 700 "+d.cfg.DataDir)
	}
	return found("%s can be written", d.cfg.DataDir)
}

// reasonOf returns the reason of a file error without its path.
func reasonOf(err error) string {
	if inPath, ok := errors.AsType[*fs.PathError](err); ok {
		err = inPath.Err
	}
	return err.Error()
}

// secretFiles lists the files that settings may name and that have secrets.
func secretFiles() []string {
	files := []string{".env"}
	for _, name := range []string{"CONFIG_FILE", "JWT_SECRET_FILE", "JWT_PREVIOUS_SECRETS_FILE", "AUTH_KEY_FILE", "MONGO_URI_FILE", "CONNECTYCUBE_ADMIN_KEY_FILE", "CONNECTYCUBE_CIDP_SECRET_FILE", "SANDBOX_CONTROL_TOKEN_FILE"} {
		if path, ok := os.LookupEnv(name); ok && path != "" {
			files = append(files, path)
		}
	}
	return files
}

// checkSecrets checks that the secrets are there, and which files show them to others.
func (d localChecks) checkSecrets(context.Context) finding {
	if f := d.openTools(); f.State != "" {
		if d.cfg.HasEmbeddedDatabase() && hasDatabase(d.cfg) != nil {
			return skipped("the first start makes it")
		}
		return f
	}
	for _, path := range secretFiles() {
		info, err := os.Stat(path)
		if err == nil && info.Mode().IsRegular() && runtime.GOOS != "windows" && info.Mode().Perm()&0o004 != 0 {
			return warningOf(fmt.Sprintf("every user of this machine may read %s (mode %04o), which may have secrets", path, info.Mode().Perm()), "chmod 600 "+path)
		}
	}
	switch {
	case d.cfg.HasSandbox() && d.cfg.Sandbox.ControlToken.IsZero() && !isLoopback(d.cfg.Sandbox.Host):
		return warningOf("the sandbox is open to other machines, whose clients may not use its control area", "set SANDBOX_CONTROL_TOKEN to let them, or SANDBOX_HOST=127.0.0.1")
	case !d.cfg.HasSandbox() && d.cfg.ConnectyCube.CIDPSecret.IsZero():
		return warningOf("CONNECTYCUBE_CIDP_SECRET is not set, so that apps cannot log in at ConnectyCube with a password", "set it to a secret (openssl rand -base64 48), and enter the same in the dashboard as request header X-CIdP-Secret")
	}
	return found("set, and long enough")
}

// checkKeys checks the keys that sign tokens.
func (d localChecks) checkKeys(context.Context) finding {
	switch {
	case d.cfg.JWT.Keys == "" && d.issuer == nil:
		return skipped("there is no secret")
	case d.cfg.JWT.Keys == "":
		return found("JWT_SECRET signs tokens (HS256)")
	}
	list, err := tokens.ListKeys(d.cfg.JWT.Keys)
	if err == nil {
		_, err = tokens.LoadSigningKeys(d.cfg.JWT.Keys)
	}
	if err != nil {
		return failedBy("JWT_KEYS: "+err.Error(), "\"cubegate keys list\" shows the keys, and \"cubegate keys new\" makes one")
	}
	signs := ""
	for _, k := range list {
		if k.Signs {
			signs = fmt.Sprintf("%s (%s) signs", k.ID, k.Alg)
		}
	}
	if signs == "" {
		return failedBy("no key in JWT_KEYS signs yet", "cubegate keys new --in 0s")
	}
	return found("%s, of %s", signs, counted(len(list), "key"))
}

// databaseOptions returns the options for the database, which the doctor opens itself if no
// server has it.
func (d localChecks) databaseOptions() (store.Options, error) {
	if d.running != nil {
		return d.runningOptions(), nil
	}
	if !d.cfg.HasEmbeddedDatabase() {
		return storeOptions(d.cfg, d.log), nil
	}
	return d.openFile()
}

// maxClockSkew is the difference of clocks from which the doctor warns: leases and tokens
// allow for a few seconds.
const maxClockSkew = 5

// checkDatabase checks that the database answers, and adds a finding for each of its facts.
func (d localChecks) checkDatabase(ctx context.Context) finding {
	if d.cfg.HasEmbeddedDatabase() && d.running == nil && hasDatabase(d.cfg) != nil {
		return skipped("the first start makes it")
	}
	o, err := d.databaseOptions()
	if errors.Is(err, embedded.ErrLocked) {
		return warningOf(err.Error(), "run the doctor again when the other command has ended")
	}
	var facts store.Facts
	if err == nil {
		facts, err = store.Inspect(ctx, o)
	}
	if err != nil {
		return failedBy(err.Error(), d.databaseCure())
	}
	parts := []finding{found("embedded, in %s", databaseFile(d.cfg)).named("database")}
	if !d.cfg.HasEmbeddedDatabase() {
		parts = []finding{found("%s answers", mongoHosts(d.cfg.Mongo.URI.Reveal())).named("database"), versionFinding(facts).named("database version"),
			replicaFinding(facts).named("replica set"), clockFinding(facts).named("clock")}
	}
	return finding{parts: append(parts, indexFinding(facts).named("indexes"))}
}

func (d localChecks) databaseCure() string {
	if d.cfg.HasEmbeddedDatabase() {
		return "run \"cubegate check\" while no server runs; it names the damage"
	}
	return "correct MONGO_URI, or start the database"
}

// leastVersion is the oldest major version of MongoDB that the store was written for.
const leastVersion = 5

func versionFinding(f store.Facts) finding {
	major := 0
	if _, err := fmt.Sscanf(f.Version, "%d.", &major); err != nil || major < leastVersion {
		return warningOf(fmt.Sprintf("the database has version %s", printable(f.Version, 20)), fmt.Sprintf("update it to MongoDB %d.0 or later", leastVersion))
	}
	return found("%s", printable(f.Version, 20))
}

func replicaFinding(f store.Facts) finding {
	switch {
	case !f.Writable:
		return failedBy("the server that answers is not the primary, and takes no writes", "name all members in MONGO_URI and set replicaSet, without directConnection=true")
	case f.Sharded:
		return found("a sharded cluster")
	case f.ReplicaSet == "":
		return warningOf("the database is a server alone: what it has acknowledged is lost with its disk", "make it a replica set, or use Atlas")
	}
	return found("%s", printable(f.ReplicaSet, 40))
}

func clockFinding(f store.Facts) finding {
	ahead := f.ClockAhead.Seconds()
	if max(ahead, -ahead)-f.ClockPrecision.Seconds()/2 > maxClockSkew {
		return failedBy(fmt.Sprintf("the clock of the database is %.0f s from this machine's", ahead), "let both machines set their clocks by NTP")
	}
	return found("the database's is within %d s of this machine's", maxClockSkew)
}

func indexFinding(f store.Facts) finding {
	if len(f.MissingIndexes) > 0 {
		return warningOf("indexes are missing: "+strings.Join(f.MissingIndexes, ", "), "start the server once; it creates them, and its log tells of any that it cannot create")
	}
	return found("all are there")
}
