import"./chunk-VT24KTEX.js";
