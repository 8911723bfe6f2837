package main

import (
	"bytes"
	"fmt"
	"strconv"
)

// decode returns the bencoded value at the start of data (int64, string, list or dictionary) and how long it is.
func decode(data []byte) (any, int, error) {
	if len(data) == 0 {
		return nil, 0, fmt.Errorf("bencode: ends too early")
	}
	switch data[0] {
	case 'i':
		end := bytes.IndexByte(data, 'e')
		if end < 0 {
			return nil, 0, fmt.Errorf("bencode: a number without an end")
		}
		number, err := strconv.ParseInt(string(data[1:end]), 10, 64)
		return number, end + 1, err
	case 'l', 'd':
		var values []any
		at := 1
		for at < len(data) && data[at] != 'e' {
			value, length, err := decode(data[at:])
			if err != nil {
				return nil, 0, err
			}
			values = append(values, value)
			at += length
		}
		if data[0] == 'l' {
			return values, at + 1, nil
		}
		dictionary := map[string]any{}
		for i := 0; i+1 < len(values); i += 2 {
			key, _ := values[i].(string)
			dictionary[key] = values[i+1]
		}
		return dictionary, at + 1, nil
	}
	colon := bytes.IndexByte(data, ':')
	length, err := strconv.Atoi(string(data[:max(colon, 0)]))
	if err != nil || length < 0 || colon+1+length > len(data) {
		return nil, 0, fmt.Errorf("bencode: not a string")
	}
	return string(data[colon+1 : colon+1+length]), colon + 1 + length, nil
}
