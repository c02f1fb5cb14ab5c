import"./chunk-3YEQBLYN.js";
