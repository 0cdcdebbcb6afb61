// Lets an etcd that has been restored go on a number of revisions later, and counts all before that as compacted: what
// etcdutl does for --bump-revision and --mark-compacted since etcd 3.5, for the etcd of distributions that have an older one.
//
//	revisions MEMBER/snap/db 1000000000
package main

import (
	"encoding/binary"
	"fmt"
	"os"
	"strconv"

	bolt "go.etcd.io/bbolt"
)

func main() {
	amount, err := strconv.ParseUint(os.Args[2], 10, 64)
	if err == nil {
		err = bump(os.Args[1], amount)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func bump(path string, amount uint64) error {
	db, err := bolt.Open(path, 0600, nil)
	if err != nil {
		return err
	}
	defer db.Close()
	return db.Update(func(tx *bolt.Tx) error {
		keys := tx.Bucket([]byte("key"))
		last, _ := keys.Cursor().Last()
		revision := make([]byte, 17)
		copy(revision, last)
		binary.BigEndian.PutUint64(revision, binary.BigEndian.Uint64(revision)+amount)
		revision[8] = '_'
		for i := 9; i < 17; i++ {
			revision[i] = 0
		}
		if err := keys.Put(revision, []byte{}); err != nil {
			return err
		}
		return tx.Bucket([]byte("meta")).Put([]byte("scheduledCompactRev"), revision)
	})
}
