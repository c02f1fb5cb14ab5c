import"./chunk-ZUDTZCGD.js";
