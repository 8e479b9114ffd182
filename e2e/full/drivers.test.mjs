// The official MongoDB driver, of four major versions, and mongoose at the port of the embedded
// database. What it has works, and what it has not is refused by name.
//
// Needs a cubegate to start (CUBEGATE_BINARY).

import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, describe, test } from 'node:test'
import { banner, start, stop } from '../process.mjs'

const drivers = ['mongodb-4', 'mongodb-5', 'mongodb-6', 'mongodb-7'] // npm's mongodb, by a name for each version
let server, folder, endpoint

before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'cubegate-drivers-'))
  endpoint = `127.0.0.1:${await freePort()}`
  server = start(process.env.CUBEGATE_BINARY, [], folder, { MONGO_EMBEDDED_LISTEN: endpoint })
  await banner(server)
})
after(async () => {
  await stop(server)
  await rm(folder, { recursive: true, force: true })
})

function freePort() {
  return new Promise((resolve, reject) => {
    const probe = createServer().on('error', reject)
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address()
      probe.close(() => resolve(port))
    })
  })
}

/** Refused by name, with MongoDB's code. */
const refused = (code, text) => (e) => e.code === code && e.message.includes(text)

for (const name of drivers) {
  describe(name, () => {
    let mongodb, client, db, people
    before(async () => {
      const module = await import(name)
      mongodb = module.default ?? module
      client = await new mongodb.MongoClient(`mongodb://${endpoint}`).connect()
      db = client.db(name)
      people = db.collection('people')
    })
    after(() => client.close())

    test('documents of all types come back in batches', async () => {
      const { Long, Decimal128, Binary, ObjectId, Timestamp, MinKey } = mongodb
      const odd = {
        long: Long.fromString('9007199254740993'), decimal: Decimal128.fromString('1.10'), date: new Date(0), none: null,
        id: new ObjectId(), bytes: new Binary(Buffer.from('xyz')), stamp: new Timestamp({ t: 1, i: 2 }), least: new MinKey(), pattern: /a/i,
      }
      const many = Array.from({ length: 300 }, (_, i) => ({ _id: i, name: `n${i}`, tags: [i, i + 1], ...(i === 7 ? odd : {}) }))
      assert.equal((await people.insertMany(many)).insertedCount, 300)
      const found = await people.find({}, { batchSize: 7, promoteValues: false }).sort({ _id: 1 }).toArray()
      assert.equal(found.length, 300)
      assert.equal(String(found[7].long), '9007199254740993')
      assert.equal(String(found[7].decimal), '1.10')
      assert.deepEqual((await people.find({ tags: 5 }).limit(-2).toArray()).map((d) => d._id), [4, 5])
      assert.equal(await people.countDocuments({ _id: { $lt: 10 } }), 10)
      assert.equal(await people.estimatedDocumentCount(), 300)
    })

    test('writes say what they did', async () => {
      await people.createIndex({ name: 1 }, { unique: true })
      const upserted = await people.updateOne({ _id: 'up' }, { $set: { name: 'up' }, $push: { tags: 'x' } }, { upsert: true })
      assert.deepEqual([upserted.matchedCount, upserted.upsertedId], [0, 'up'])
      const bulk = people.bulkWrite(
        [{ insertOne: { document: { _id: 1, name: 'q' } } }, { insertOne: { document: { _id: 'b', name: 'n2' } } }, { updateOne: { filter: { _id: 3 }, update: { $inc: { n: 5 } } } }, { deleteOne: { filter: { _id: 4 } } }],
        { ordered: false },
      )
      const error = await bulk.then(() => assert.fail('duplicates were taken'), (e) => e)
      assert.deepEqual(error.writeErrors.map((e) => [e.index, e.code]), [[0, 11000], [1, 11000]])
      assert.deepEqual([error.result.modifiedCount, error.result.deletedCount], [1, 1])
      const after = await people.findOneAndUpdate({ _id: 3 }, { $inc: { n: 1 } }, { returnDocument: 'after', includeResultMetadata: true })
      assert.equal(after.value.n, 6)
    })

    test('files, sessions and offers that the server does not take', async () => {
      const bucket = new mongodb.GridFSBucket(db)
      const upload = bucket.openUploadStream('a.bin')
      upload.end(Buffer.alloc(600_000, 7))
      await new Promise((resolve, reject) => upload.on('finish', resolve).on('error', reject))
      let length = 0
      for await (const chunk of bucket.openDownloadStream(upload.id)) length += chunk.length
      assert.equal(length, 600_000)
      await bucket.delete(upload.id)
      const session = client.startSession({ causalConsistency: true })
      assert.equal((await people.findOne({ _id: 'up' }, { session })).name, 'up')
      await session.endSession()
      const other = await new mongodb.MongoClient(`mongodb://${endpoint}/?compressors=zlib&retryWrites=true&w=majority&readPreference=secondaryPreferred`).connect()
      assert.equal(await other.db(name).collection('people').countDocuments({ _id: 'up' }), 1)
      await other.close()
    })

    test('refusals name what is missing, and write nothing', async () => {
      await assert.rejects(people.distinct('name'), refused(59, "'distinct' is not supported by cubegate's embedded database"))
      await assert.rejects(people.aggregate([{ $sample: { size: 1 } }]).toArray(), refused(238, '$sample'))
      await assert.rejects(people.watch().next(), refused(238, '$changeStream'))
      await assert.rejects(people.find({}, { collation: { locale: 'en' } }).toArray(), refused(238, 'collation'))
      await assert.rejects(people.find({ $expr: { $eq: ['$name', 1] } }).toArray(), refused(238, '$expr'))
      const session = client.startSession()
      await assert.rejects(session.withTransaction(() => people.insertOne({ _id: 'tx' }, { session })))
      await session.endSession()
      assert.equal(await people.findOne({ _id: 'tx' }), null)
      const user = new mongodb.MongoClient(`mongodb://ada:secret@${endpoint}`)
      await assert.rejects(user.connect().then(() => user.db('test').command({ ping: 1 })), refused(18, 'has no users; connect without a user and a password'))
      await user.close()
    })
  })
}

test('mongoose models', async () => {
  const { default: mongoose } = await import('mongoose')
  const connection = await mongoose.createConnection(`mongodb://${endpoint}/mongoose`).asPromise()
  const { ObjectId } = mongoose.Schema.Types
  const User = connection.model('User', new mongoose.Schema({ email: { type: String, unique: true, required: true }, tags: [String], seen: Date }, { timestamps: true }))
  const Post = connection.model('Post', new mongoose.Schema({ by: { type: ObjectId, ref: 'User' }, at: { type: Date, expires: 3600 } }))
  await Promise.all([User.init(), Post.init()]) // creates the indexes
  const ada = await User.create({ email: 'ada@example.org', tags: ['a', 'b'] })
  await assert.rejects(User.create({ email: 'ada@example.org' }), refused(11000, 'email_1'))
  ada.tags.pull('a')
  ada.tags.push('c')
  await ada.save()
  assert.deepEqual((await User.findById(ada._id)).toObject().tags, ['b', 'c'])
  await Post.create({ by: ada._id, at: new Date() })
  assert.equal((await Post.findOne().populate('by')).by.email, 'ada@example.org')
  const changed = await User.findOneAndUpdate({ email: /^ADA/i }, { $addToSet: { tags: 'd' } }, { returnDocument: 'after' }).lean()
  assert.deepEqual(changed.tags, ['b', 'c', 'd'])
  assert.equal(await User.countDocuments({ $or: [{ tags: 'd' }, { seen: null }] }), 1)
  const bob = await User.create({ email: 'bob@example.org', tags: ['x'] })
  const emails = async (filter) => (await User.find(filter).sort({ email: 1 })).map((u) => u.email[0]).join('')
  assert.equal(await emails({ email: { $nin: ['ada@example.org', /^c/] } }), 'b')
  assert.equal(await emails({ tags: { $not: { $in: ['x', 'y'] } } }), 'a')
  assert.equal(await emails({ $nor: [{ tags: { $size: 3 } }, { tags: { $all: ['b', 'c'] } }] }), 'b')
  assert.equal(await emails({ tags: { $elemMatch: { $gt: 'c', $lt: 'x' } } }), 'a')
  await User.updateOne({ _id: bob._id }, { $pull: { tags: { $in: ['x'] } }, $currentDate: { seen: true } })
  const sorted = await User.aggregate([{ $match: { tags: { $nin: ['q'] } } }, { $sort: { email: -1 } }, { $limit: 1 }, { $project: { tags: 1 } }])
  assert.deepEqual(sorted, [{ _id: bob._id, tags: [] }])
  await bob.deleteOne()
  assert.equal((await User.deleteOne({ _id: ada._id })).deletedCount, 1)
  await assert.rejects(User.distinct('email'), refused(59, 'distinct'))
  await connection.close()
})
