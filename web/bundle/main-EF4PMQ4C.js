import"./chunk-KGPC7XV4.js";
