/** An event as a command that sends it again, with the names of the API and a place for the key. */
export function curlOf(origin: string, event: { application: string; session_id: string; category: string; name: string; data: unknown; timestamp: string }): string {
  const { application, session_id, category, name, data, timestamp } = event;
  const body = JSON.stringify({ session_id, category, name, data, timestamp });
  // Within single quotes a shell knows no escape: each quote ends the text, stands by itself, and begins it again.
  const quoted = `'${body.replace(/'/g, `'\\''`)}'`;
  return `curl ${origin}/api/v1/events \\\n  -H 'application: ${application}' -H 'Content-Type: application/json' \\\n  -d ${quoted}`;
}
