import"./chunk-HPV3AZFU.js";
