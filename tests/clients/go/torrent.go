package main

import (
	"bytes"
	"crypto/sha1"
	"fmt"
	"os"
)

type torrent struct {
	announce, name, hashes string
	infoHash               [20]byte
	length, pieceLength    int
}

func read(path string) (torrent, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return torrent{}, err
	}
	all, _, err := decode(data)
	if err != nil {
		return torrent{}, err
	}
	start := bytes.Index(data, []byte("4:info")) + len("4:info")
	value, length, err := decode(data[start:])
	if err != nil {
		return torrent{}, err
	}
	info := value.(map[string]any)
	size, ok := info["length"].(int64)
	if !ok {
		return torrent{}, fmt.Errorf("%s: only torrents of one file", path)
	}
	return torrent{
		announce:    all.(map[string]any)["announce"].(string),
		name:        info["name"].(string),
		hashes:      info["pieces"].(string),
		infoHash:    sha1.Sum(data[start : start+length]),
		length:      int(size),
		pieceLength: int(info["piece length"].(int64)),
	}, nil
}
