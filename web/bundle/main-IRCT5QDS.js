import"./chunk-G2MKQEZO.js";
