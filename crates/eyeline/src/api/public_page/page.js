// A signed-in owner is no visitor: nothing is counted in that browser. If the answer is missing, nothing is counted either.
const session = await fetch('/api/v1/session').then((answer) => answer.json(), () => ({}));
const consent = session.signed_in === false ? 'cookieless' : 'denied';
document.querySelector('eyeline-gallery').setAttribute('consent', consent);
await import('/eyeline-gallery.js');
