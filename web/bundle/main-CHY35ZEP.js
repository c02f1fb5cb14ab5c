import"./chunk-GAIEQYQX.js";
