import"./chunk-WDVDGMDP.js";
