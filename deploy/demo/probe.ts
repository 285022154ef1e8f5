/** Exits 0 if a URL responds with 2xx, else 1: `probe.ts URL`. For images without curl. */
const [, , url = ''] = process.argv;
const response = await fetch(url).catch((error: unknown) => ({ ok: false, status: String(error) }));
if (!response.ok) process.stderr.write(`${url}: ${response.status}\n`);
process.exitCode = response.ok ? 0 : 1;
