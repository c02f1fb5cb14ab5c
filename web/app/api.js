/** The one request that the API reference makes on its own. */

/** Whether this browser is signed in: `{ signed_in, public_url }`. */
export const api = {
  async session() {
    const response = await fetch('/api/v1/session');
    if (!response.ok) throw new Error(`The server answered ${response.status}.`);
    return response.json();
  },
};
