import"./chunk-LZSO52YI.js";
