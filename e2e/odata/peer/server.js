// CAP on loopback, with the faults that a service in the world has and CAP does not.
//
//   POST /fault?kind=busy|half|drop|foreign&after=1&times=2&wait=1
//     kind   busy: 429 with Retry-After of `wait` seconds; half: the first half of the answer; drop: the connection breaks off in the middle;
//            foreign: the next link names another host
//     after  how many answers of the service are left alone first (default 0)
//     times  how many answers it hits (default 1)
//   GET /asked   how many questions the service was asked, faulty ones included
const cds = require('@sap/cds')

let fault = null, asked = 0

// Before the v2 adapter takes its place, or its questions would be hit only behind it.
cds.prependOnceListener('bootstrap', app => {
  const listen = app.listen.bind(app)
  app.listen = port => listen(port, '127.0.0.1')

  app.post('/fault', (req, res) => {
    const { kind, after = 0, times = 1, wait = 1 } = req.query
    fault = kind ? { kind, after: Number(after), times: Number(times), wait } : null
    res.sendStatus(204)
  })
  app.get('/asked', (req, res) => res.json(asked))

  app.use('/odata', (req, res, next) => {
    // The v2 adapter asks the v4 service behind it over HTTP: a question counts once.
    if (req.headers['x-cov2ap-loop']) return next()
    if (req.originalUrl.startsWith('/odata/v2')) req.headers['x-cov2ap-loop'] = 'yes'
    asked += 1
    if (!fault || fault.after-- > 0) return next()
    const { kind, wait } = fault
    if (--fault.times <= 0) fault = null
    if (kind === 'busy') return res.status(429).set('Retry-After', wait).json({ error: { code: '429', message: 'too many requests' } })
    // Express writes an answer in one piece or several; the fault is put where they are all there.
    const parts = [], write = res.write.bind(res), end = res.end.bind(res)
    res.write = part => { parts.push(Buffer.from(part)); return true }
    res.end = part => {
      if (part && typeof part !== 'function') parts.push(Buffer.from(part))
      let body = Buffer.concat(parts)
      res.write = write
      res.end = end
      if (kind === 'foreign') body = Buffer.from(body.toString().replace(/("@odata\.nextLink":"|"__next":")(https?:\/\/[^/]+)?\/?/, '$1https://evil.example/'))
      if (kind === 'half') body = body.subarray(0, body.length / 2)
      if (!res.headersSent) res.setHeader('Content-Length', body.length)
      if (kind !== 'drop') return end(body)
      write(body.subarray(0, body.length / 2), () => res.socket.destroy())
      return res
    }
    next()
  })
})

// SuccessFactors answers the segment of today alone unless fromDate and toDate say otherwise.
cds.once('served', ({ SFService }) => {
  SFService.after('READ', 'User', (rows, req) => {
    const { fromDate, toDate } = req.http?.req.query ?? {}
    const today = new Date().toISOString().slice(0, 10)
    for (const row of [rows].flat()) {
      const info = row?.empInfo
      if (info?.jobInfoNav && !(fromDate && toDate)) info.jobInfoNav = info.jobInfoNav.filter(job => job.startDate <= today && job.endDate >= today)
    }
  })
})

module.exports = cds.server
