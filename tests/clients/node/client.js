#!/usr/bin/env node
// A small BitTorrent client as an author's checkout has it: checkout-client TORRENT INTO
// One file, one seeder at a time, pieces in order (BEP 3, BEP 23).
'use strict'

const crypto = require('node:crypto')
const fs = require('node:fs/promises')
const net = require('node:net')
const path = require('node:path')

const BLOCK = 16384
const AHEAD = 32 // requests on the way at a time
const UNCHOKE = 1
const INTERESTED = 2
const REQUEST = 6
const PIECE = 7
const PEER_ID = Buffer.concat([Buffer.from('-JS0001-'), crypto.randomBytes(12)])

const sha1 = (data) => crypto.createHash('sha1').update(data).digest()

// Returns the bencoded value at an offset, and the offset after it; strings stay bytes.
function decode (data, at = 0) {
  const kind = String.fromCharCode(data[at])
  if (kind === 'i') {
    const end = data.indexOf('e', at)
    return [Number(data.toString('latin1', at + 1, end)), end + 1]
  }
  if (kind === 'l' || kind === 'd') {
    const values = []
    for (at += 1; data[at] !== 'e'.charCodeAt(0);) {
      const [value, next] = decode(data, at)
      values.push(value)
      at = next
    }
    if (kind === 'l') return [values, at + 1]
    const pairs = values.filter((_, i) => i % 2 === 0).map((key, i) => [key.toString(), values[2 * i + 1]])
    return [Object.fromEntries(pairs), at + 1]
  }
  const colon = data.indexOf(':', at)
  const end = colon + 1 + Number(data.toString('latin1', at, colon))
  return [data.subarray(colon + 1, end), end]
}

async function readTorrent (file) {
  const data = await fs.readFile(file)
  const start = data.indexOf('4:info') + '4:info'.length
  const [info, end] = decode(data, start)
  if (info.files) throw new Error(`${file}: only torrents of one file`)
  return { announce: decode(data)[0].announce.toString(), infoHash: sha1(data.subarray(start, end)), info }
}

const escaped = (bytes) => [...bytes].map((byte) => '%' + byte.toString(16).padStart(2, '0')).join('')

async function findPeers ({ announce, infoHash, info }) {
  const ids = `info_hash=${escaped(infoHash)}&peer_id=${escaped(PEER_ID)}`
  const rest = `port=6999&uploaded=0&downloaded=0&left=${info.length}&compact=1&event=started`
  const answer = await fetch(`${announce}?${ids}&${rest}`)
  const { peers } = decode(Buffer.from(await answer.arrayBuffer()))[0]
  const found = []
  for (let at = 0; at < peers.length; at += 6) {
    found.push({ host: [...peers.subarray(at, at + 4)].join('.'), port: peers.readUInt16BE(at + 4) })
  }
  return found
}

function message (kind, ...numbers) {
  const data = Buffer.alloc(5 + 4 * numbers.length)
  data.writeUInt32BE(data.length - 4)
  data[4] = kind
  numbers.forEach((number, i) => data.writeUInt32BE(number, 5 + 4 * i))
  return data
}

// Yields [kind, data] of each message of a connection, after its handshake of 68 bytes.
async function * messages (socket) {
  let held = Buffer.alloc(0)
  let greeted = false
  for await (const chunk of socket) {
    held = Buffer.concat([held, chunk])
    if (!greeted && held.length >= 68) {
      greeted = true
      held = held.subarray(68)
    }
    while (greeted && held.length >= 4 && held.length >= 4 + held.readUInt32BE()) {
      const end = 4 + held.readUInt32BE()
      if (end > 4) yield [held[4], held.subarray(5, end)]
      held = held.subarray(end)
    }
  }
}

// Downloads the whole payload from one peer.
async function download ({ infoHash, info }, peer) {
  const size = info['piece length']
  const payload = Buffer.alloc(info.length)
  const socket = net.connect(peer)
  socket.write(Buffer.concat([Buffer.from('\x13BitTorrent protocol'), Buffer.alloc(8), infoHash, PEER_ID]))
  socket.write(message(INTERESTED))
  let open = false
  let asked = 0
  let got = 0
  for await (const [kind, data] of messages(socket)) {
    open ||= kind === UNCHOKE
    if (kind === PIECE) {
      got += data.copy(payload, data.readUInt32BE(0) * size + data.readUInt32BE(4), 8)
    }
    for (; open && asked < info.length && asked < got + AHEAD * BLOCK; asked += BLOCK) {
      const length = Math.min(BLOCK, info.length - asked)
      socket.write(message(REQUEST, Math.floor(asked / size), asked % size, length))
    }
    if (got === info.length) break // which closes the connection
  }
  for (let at = 0; at < info.length; at += size) {
    const wanted = info.pieces.subarray(20 * at / size, 20 * at / size + 20)
    if (!sha1(payload.subarray(at, at + size)).equals(wanted)) throw new Error(`piece ${at / size} is wrong`)
  }
  return payload
}

async function main (file, into) {
  const torrent = await readTorrent(file)
  for (const peer of await findPeers(torrent)) {
    try {
      const payload = await download(torrent, peer)
      await fs.writeFile(path.join(into, torrent.info.name.toString()), payload)
      return
    } catch (error) {
      console.error(`${peer.host}:${peer.port}: ${error.message}`)
    }
  }
  throw new Error('no peer gave all of it')
}

main(...process.argv.slice(2)).catch((error) => {
  console.error(error.message)
  process.exitCode = 1
})
