package main

import (
	"crypto/sha1"
	"encoding/binary"
	"fmt"
	"io"
	"net"
)

const (
	block = 16384
	ahead = 32 // requests on the way at a time
)

// Kinds of messages.
const (
	unchoke    = 1
	interested = 2
	request    = 6
	piece      = 7
)

func send(peer io.Writer, kind byte, numbers ...int) error {
	message := binary.BigEndian.AppendUint32(nil, uint32(1+4*len(numbers)))
	message = append(message, kind)
	for _, number := range numbers {
		message = binary.BigEndian.AppendUint32(message, uint32(number))
	}
	_, err := peer.Write(message)
	return err
}

func receive(peer io.Reader) (byte, []byte, error) {
	head := make([]byte, 4)
	for {
		if _, err := io.ReadFull(peer, head); err != nil {
			return 0, nil, err
		}
		if length := binary.BigEndian.Uint32(head); length > 0 { // 0: it only says that it is there
			message := make([]byte, length)
			_, err := io.ReadFull(peer, message)
			return message[0], message[1:], err
		}
	}
}

// fetch downloads the whole payload from one peer.
func fetch(t torrent, id, address string) ([]byte, error) {
	peer, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	defer peer.Close()
	if _, err := fmt.Fprintf(peer, "\x13BitTorrent protocol%s%s%s", make([]byte, 8), t.infoHash[:], id); err != nil {
		return nil, err
	}
	if _, err := io.ReadFull(peer, make([]byte, 68)); err != nil {
		return nil, err
	}
	if err := send(peer, interested); err != nil {
		return nil, err
	}
	payload, asked, got := make([]byte, t.length), 0, 0
	for open := false; got < t.length; {
		kind, data, err := receive(peer)
		if err != nil {
			return nil, err
		}
		open = open || kind == unchoke
		if kind == piece {
			at := int(binary.BigEndian.Uint32(data))*t.pieceLength + int(binary.BigEndian.Uint32(data[4:]))
			got += copy(payload[at:], data[8:])
		}
		for ; open && asked < t.length && asked < got+ahead*block; asked += block {
			size := min(block, t.length-asked)
			if err := send(peer, request, asked/t.pieceLength, asked%t.pieceLength, size); err != nil {
				return nil, err
			}
		}
	}
	for index := 0; index*20 < len(t.hashes); index++ {
		part := payload[index*t.pieceLength : min((index+1)*t.pieceLength, t.length)]
		if hash := sha1.Sum(part); string(hash[:]) != t.hashes[index*20:index*20+20] {
			return nil, fmt.Errorf("piece %d is wrong", index)
		}
	}
	return payload, nil
}
