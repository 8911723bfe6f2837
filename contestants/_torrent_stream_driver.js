// Download one torrent with torrent-stream, as its README has it: `node driver.js TORRENT INTO`.
'use strict'

const fs = require('fs')
const torrentStream = require(`${process.env.INSTALLED}/lib/node_modules/torrent-stream`)

const [torrent, into] = process.argv.slice(2)
const engine = torrentStream(fs.readFileSync(torrent), { path: into, dht: false })
engine.on('ready', () => {
  engine.listen()
  engine.files.forEach((file) => file.select())
})
engine.on('idle', () => engine.destroy())
