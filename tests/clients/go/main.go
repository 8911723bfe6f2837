// A small BitTorrent client as an author's checkout has it: checkout-client TORRENT INTO
// One file, one seeder at a time, pieces in order (BEP 3, BEP 23).
package main

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// peers announces and returns the addresses that the tracker knows.
func peers(t torrent, id string) ([]string, error) {
	query := url.Values{"info_hash": {string(t.infoHash[:])}, "peer_id": {id}, "port": {"6999"}, "uploaded": {"0"},
		"downloaded": {"0"}, "left": {fmt.Sprint(t.length)}, "compact": {"1"}, "event": {"started"}}
	// A byte that is a space is + in a form; BEP 3 knows only %20.
	response, err := http.Get(t.announce + "?" + strings.ReplaceAll(query.Encode(), "+", "%20"))
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	answer, _, err := decode(body)
	if err != nil {
		return nil, err
	}
	compact, ok := answer.(map[string]any)["peers"].(string)
	if !ok {
		return nil, fmt.Errorf("the tracker names no peers: %q", body)
	}
	var found []string
	for at := 0; at+6 <= len(compact); at += 6 {
		peer := []byte(compact[at : at+6])
		found = append(found, fmt.Sprintf("%s:%d", net.IP(peer[:4]), binary.BigEndian.Uint16(peer[4:])))
	}
	return found, nil
}

func run(path, into string) error {
	t, err := read(path)
	if err != nil {
		return err
	}
	random := make([]byte, 6)
	if _, err := rand.Read(random); err != nil {
		return err
	}
	id := fmt.Sprintf("-GO0001-%x", random)
	found, err := peers(t, id)
	if err != nil {
		return err
	}
	for _, address := range found {
		payload, err := fetch(t, id, address)
		if err == nil {
			return os.WriteFile(filepath.Join(into, t.name), payload, 0o644)
		}
		log.Printf("%s: %v", address, err)
	}
	return fmt.Errorf("none of %d peers gave all of it", len(found))
}

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: checkout-client TORRENT INTO")
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		log.Fatal(err)
	}
}
