// node upload.mjs HOST KEY PROJECT GALLERY BUCKET NUMBER: a person sends a picture in the web application, in Chromium. Fails
// unless its bytes go straight to the bucket, the server makes its versions and the page shows it.
import { png, startBrowser, until } from '../../clients/js/support/eyeline.js';

const [host, key, project, gallery, bucket, number] = process.argv.slice(2);
const name = `picture ${number}.png`;
const buffer = png(1600, 1200, Number(number));

async function api(method, path) {
  const response = await fetch(`${host}/api/v1${path}`, { method, headers: { Authorization: `Bearer ${key}` } });
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
  return response.json();
}

const browser = await startBrowser();
try {
  const page = await browser.newPage();
  const problems = [];
  page.on('console', (message) => {
    // Pictures of the dataset are nowhere.
    const isElsewhere = ![host, bucket].some((place) => message.location().url.startsWith(`${place}/`));
    if (message.type() === 'error' && !(isElsewhere && /Failed to load resource/.test(message.text()))) problems.push(message.text());
  });
  page.on('pageerror', (error) => problems.push(String(error)));
  const asked = [];
  page.on('requestfinished', async (request) => {
    // The sizes that Chromium reports leave out the bytes of files.
    const [response, headers] = await Promise.all([request.response(), request.allHeaders()]);
    const bytes = Number(headers['content-length'] ?? 0);
    asked.push({ method: request.method(), url: request.url(), status: response?.status(), bytes });
  });
  const { url } = await api('POST', '/session/links');
  await page.goto(`${host}/${new URL(url).hash}`);
  await page.locator('header.top').waitFor();
  await page.goto(`${host}/#/gallery/${gallery}?project=${project}`);
  await page.locator('.tile').first().waitFor();

  await page.setInputFiles('#upload', { name, mimeType: 'image/png', buffer });
  const isListed = async () => (await api('GET', `/galleries/${gallery}/images?limit=100`)).items.some((item) => item.name === name);
  await until(isListed, () => `${name} in the gallery (${problems.join('; ') || 'no error on the page'})`);
  const isShown = (alt) => [...document.images].some((image) => image.alt === alt && image.complete && image.naturalWidth > 0);
  await until(() => page.evaluate(isShown, name), `${name} on the page`);

  const isFile = ({ method, bytes }) => ['POST', 'PUT'].includes(method) && bytes >= buffer.length;
  const sent = await until(() => (asked.some(isFile) ? asked.filter(isFile) : null), 'a request with the file');
  const isRight = sent.length === 1 && sent[0].url.startsWith(`${bucket}/`) && sent[0].status >= 200 && sent[0].status < 300;
  if (!isRight) throw new Error(`the file went another way: ${JSON.stringify(sent)}`);
  const toServer = asked.filter((request) => request.url.startsWith(`${host}/`)).reduce((sum, { bytes }) => sum + bytes, 0);
  if (toServer >= buffer.length) throw new Error(`the server got ${toServer} bytes`);
  if (problems.length > 0) throw new Error(problems.join('\n'));
  console.log(`${sent[0].method} of ${buffer.length} bytes to the bucket: ${sent[0].status}; all bodies to the server: ${toServer} bytes`);
} finally {
  await browser.close();
}
