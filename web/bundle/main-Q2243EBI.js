import"./chunk-CZ6H4USJ.js";
