import"./chunk-TB7GYYX2.js";
