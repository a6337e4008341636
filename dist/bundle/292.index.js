"use strict";var re=Object.defineProperty;var u=(S,c)=>re(S,"name",{value:c,configurable:!0});exports.id=292,exports.ids=[292],exports.modules={3292:((S,c,U)=>{U.d(c,{zx:u(()=>f,"zx"),qg:u(()=>P,"qg"),As:u(()=>M,"As")});/*!
 * Copyright (c) Squirrel Chat et al., All rights reserved.
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * Redistribution and use in source and binary forms, with or without
 * modification, are permitted provided that the following conditions are met:
 *
 * 1. Redistributions of source code must retain the above copyright notice, this
 *    list of conditions and the following disclaimer.
 * 2. Redistributions in binary form must reproduce the above copyright notice,
 *    this list of conditions and the following disclaimer in the
 *    documentation and/or other materials provided with the distribution.
 * 3. Neither the name of the copyright holder nor the names of its contributors
 *    may be used to endorse or promote products derived from this software without
 *    specific prior written permission.
 *
 * THIS SOFTWARE IS PROVIDED BY THE COPYRIGHT HOLDERS AND CONTRIBUTORS "AS IS" AND
 * ANY EXPRESS OR IMPLIED WARRANTIES, INCLUDING, BUT NOT LIMITED TO, THE IMPLIED
 * WARRANTIES OF MERCHANTABILITY AND FITNESS FOR A PARTICULAR PURPOSE ARE
 * DISCLAIMED. IN NO EVENT SHALL THE COPYRIGHT HOLDER OR CONTRIBUTORS BE LIABLE
 * FOR ANY DIRECT, INDIRECT, INCIDENTAL, SPECIAL, EXEMPLARY, OR CONSEQUENTIAL
 * DAMAGES (INCLUDING, BUT NOT LIMITED TO, PROCUREMENT OF SUBSTITUTE GOODS OR
 * SERVICES; LOSS OF USE, DATA, OR PROFITS; OR BUSINESS INTERRUPTION) HOWEVER
 * CAUSED AND ON ANY THEORY OF LIABILITY, WHETHER IN CONTRACT, STRICT LIABILITY,
 * OR TORT (INCLUDING NEGLIGENCE OR OTHERWISE) ARISING IN ANY WAY OUT OF THE USE
 * OF THIS SOFTWARE, EVEN IF ADVISED OF THE POSSIBILITY OF SUCH DAMAGE.
 */function W(e,r){let i=e.slice(0,r).split(/\r?\n/);return[i.length,i.pop().length+1]}u(W,"getLineColFromPtr");function V(e,r,i){let t=e.split(/\r?\n/),a="",l=(Math.log10(r+1)|0)+1;for(let n=r-1;n<=r+1;n++){let s=t[n-1];s&&(a+=n.toString().padEnd(l," "),a+=":  ",a+=s,a+=`
`,n===r&&(a+=" ".repeat(l+i+2),a+=`^
`))}return a}u(V,"makeCodeBlock");class f extends Error{static{u(this,"TomlError")}line;column;codeblock;constructor(r,i){const[t,a]=W(i.toml,i.ptr),l=V(i.toml,t,a);super(`Invalid TOML document: ${r}

${l}`,i),this.line=t,this.column=a,this.codeblock=l}static x(r,i,t){throw new f(r,{toml:i.s,ptr:t??i.p})}}/*!
 * Copyright (c) Squirrel Chat et al., All rights reserved.
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * Redistribution and use in source and binary forms, with or without
 * modification, are permitted provided that the following conditions are met:
 *
 * 1. Redistributions of source code must retain the above copyright notice, this
 *    list of conditions and the following disclaimer.
 * 2. Redistributions in binary form must reproduce the above copyright notice,
 *    this list of conditions and the following disclaimer in the
 *    documentation and/or other materials provided with the distribution.
 * 3. Neither the name of the copyright holder nor the names of its contributors
 *    may be used to endorse or promote products derived from this software without
 *    specific prior written permission.
 *
 * THIS SOFTWARE IS PROVIDED BY THE COPYRIGHT HOLDERS AND CONTRIBUTORS "AS IS" AND
 * ANY EXPRESS OR IMPLIED WARRANTIES, INCLUDING, BUT NOT LIMITED TO, THE IMPLIED
 * WARRANTIES OF MERCHANTABILITY AND FITNESS FOR A PARTICULAR PURPOSE ARE
 * DISCLAIMED. IN NO EVENT SHALL THE COPYRIGHT HOLDER OR CONTRIBUTORS BE LIABLE
 * FOR ANY DIRECT, INDIRECT, INCIDENTAL, SPECIAL, EXEMPLARY, OR CONSEQUENTIAL
 * DAMAGES (INCLUDING, BUT NOT LIMITED TO, PROCUREMENT OF SUBSTITUTE GOODS OR
 * SERVICES; LOSS OF USE, DATA, OR PROFITS; OR BUSINESS INTERRUPTION) HOWEVER
 * CAUSED AND ON ANY THEORY OF LIABILITY, WHETHER IN CONTRACT, STRICT LIABILITY,
 * OR TORT (INCLUDING NEGLIGENCE OR OTHERWISE) ARISING IN ANY WAY OUT OF THE USE
 * OF THIS SOFTWARE, EVEN IF ADVISED OF THE POSSIBILITY OF SUCH DAMAGE.
 */function _(e){let r=e.p,i=e.s.charCodeAt(e.p++),t=i,a=i===39,l=i===e.s.charCodeAt(e.p)&&i===e.s.charCodeAt(e.p+1);l&&((i=e.s.charCodeAt(e.p+=2))===10?e.p++:i===13&&e.s.charCodeAt(e.p+1)===10&&(e.p+=2));let n="",s=e.p,o=0;for(;e.p<e.s.length;e.p++)if(i=e.s.charCodeAt(e.p),l&&(i===10||i===13&&e.s.charCodeAt(e.p+1)===10))o=o&&3;else if(i<32&&i!==9||i===127)f.x("control characters are not allowed in strings",e);else if((!o||o===3)&&i===t&&(!l||e.s.charCodeAt(e.p+1)===t&&e.s.charCodeAt(e.p+2)===t)){if(l&&(e.s.charCodeAt(e.p+3)===t&&e.p++,e.s.charCodeAt(e.p+3)===t&&e.p++),!o){let d=e.s.slice(s,e.p);n=n?n+d:d}return e.p+=l?3:1,n}else if(!o)!a&&i===92&&(n+=e.s.slice(s,s=e.p),o=1);else if(o===1)if(i===120||i===117||i===85){let d=e.p++-1,p=0,h=i===120?2:i===117?4:8;for(let A=0;A<h;A++,e.p++){let g=e.s.charCodeAt(e.p),j=g>=48&&g<=57?g-48:g>=65&&g<=70?g-65+10:g>=97&&g<=102?g-97+10:-1;j<0&&f.x("invalid non-hex character in unicode escape",e),p=p<<4|j}(p<0||p>1114111||p>=55296&&p<=57343)&&f.x("invalid unicode escape",e,d),n+=String.fromCodePoint(p),s=e.p--,o=0}else l&&(i===32||i===9)?o=2:(i===98?n+="\b":i===116?n+="	":i===110?n+=`
`:i===102?n+="\f":i===114?n+="\r":i===101?n+="\x1B":i===34?n+='"':i===92?n+="\\":f.x("unrecognised escape sequence",e),s=e.p+1,o=0);else i!==32&&i!==9&&(o===2&&f.x("invalid escape: only line-ending whitespace may be escaped",e,s),o=!a&&i===92?1:0,s=e.p);f.x("unfinished string",e,r)}u(_,"parseString");/*!
 * Copyright (c) Squirrel Chat et al., All rights reserved.
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * Redistribution and use in source and binary forms, with or without
 * modification, are permitted provided that the following conditions are met:
 *
 * 1. Redistributions of source code must retain the above copyright notice, this
 *    list of conditions and the following disclaimer.
 * 2. Redistributions in binary form must reproduce the above copyright notice,
 *    this list of conditions and the following disclaimer in the
 *    documentation and/or other materials provided with the distribution.
 * 3. Neither the name of the copyright holder nor the names of its contributors
 *    may be used to endorse or promote products derived from this software without
 *    specific prior written permission.
 *
 * THIS SOFTWARE IS PROVIDED BY THE COPYRIGHT HOLDERS AND CONTRIBUTORS "AS IS" AND
 * ANY EXPRESS OR IMPLIED WARRANTIES, INCLUDING, BUT NOT LIMITED TO, THE IMPLIED
 * WARRANTIES OF MERCHANTABILITY AND FITNESS FOR A PARTICULAR PURPOSE ARE
 * DISCLAIMED. IN NO EVENT SHALL THE COPYRIGHT HOLDER OR CONTRIBUTORS BE LIABLE
 * FOR ANY DIRECT, INDIRECT, INCIDENTAL, SPECIAL, EXEMPLARY, OR CONSEQUENTIAL
 * DAMAGES (INCLUDING, BUT NOT LIMITED TO, PROCUREMENT OF SUBSTITUTE GOODS OR
 * SERVICES; LOSS OF USE, DATA, OR PROFITS; OR BUSINESS INTERRUPTION) HOWEVER
 * CAUSED AND ON ANY THEORY OF LIABILITY, WHETHER IN CONTRACT, STRICT LIABILITY,
 * OR TORT (INCLUDING NEGLIGENCE OR OTHERWISE) ARISING IN ANY WAY OUT OF THE USE
 * OF THIS SOFTWARE, EVEN IF ADVISED OF THE POSSIBILITY OF SUCH DAMAGE.
 */let F=/^(\d{4}-\d{2}-\d{2})?[Tt ]?(?:(\d{2}):\d{2}(?::\d{2}(?:\.\d+)?)?)?(Z|z|[-+]\d{2}:\d{2})?$/i;class w extends Date{static{u(this,"TomlDate")}#r=!1;#i=!1;#e=null;constructor(r,i,t){let a=!0,l=!0,n="Z",s;if(typeof r=="string")if(i)e:{if(i<3){if(+r.slice(11,13)>23){r="";break e}i===2?(n=null,r+="Z"):(s=r.charCodeAt(r.length-1))!==90&&s!==122&&(n=r.slice(r.length-6)),t&&(r=r.slice(0,10)+"T"+r.slice(11))}else i===4&&(r=+r.slice(0,2)>23?"":`0000-01-01T${r}Z`);a=i!==4,l=i!==3}else{let o=r.match(F);o?(o[1]||(a=!1,r=`0000-01-01T${r}`),l=!!o[2],l&&r[10]===" "&&(r=r.replace(" ","T")),o[2]&&+o[2]>23?r="":(n=o[3]||null,!n&&l&&(r+="Z"))):r=""}super(r),isNaN(this.getTime())||(this.#r=a,this.#i=l,this.#e=n)}isDateTime(){return this.#r&&this.#i}isLocal(){return!this.#r||!this.#i||!this.#e}isDate(){return this.#r&&!this.#i}isTime(){return this.#i&&!this.#r}isValid(){return this.#r||this.#i}toISOString(){let r=super.toISOString();if(this.isDate())return r.slice(0,10);if(this.isTime())return r.slice(11,23);if(this.#e===null)return r.slice(0,-1);if(this.#e==="Z"||this.#e==="z")return r;let i=+this.#e.slice(1,3)*60+ +this.#e.slice(4,6);return i=this.#e[0]==="-"?i:-i,new Date(this.getTime()-i*6e4).toISOString().slice(0,-1)+this.#e}static wrapAsOffsetDateTime(r,i="Z"){let t=new w(r);return t.#e=i,t}static wrapAsLocalDateTime(r){let i=new w(r);return i.#e=null,i}static wrapAsLocalDate(r){let i=new w(r);return i.#i=!1,i.#e=null,i}static wrapAsLocalTime(r){let i=new w(r);return i.#r=!1,i.#e=null,i}}/*!
 * Copyright (c) Squirrel Chat et al., All rights reserved.
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * Redistribution and use in source and binary forms, with or without
 * modification, are permitted provided that the following conditions are met:
 *
 * 1. Redistributions of source code must retain the above copyright notice, this
 *    list of conditions and the following disclaimer.
 * 2. Redistributions in binary form must reproduce the above copyright notice,
 *    this list of conditions and the following disclaimer in the
 *    documentation and/or other materials provided with the distribution.
 * 3. Neither the name of the copyright holder nor the names of its contributors
 *    may be used to endorse or promote products derived from this software without
 *    specific prior written permission.
 *
 * THIS SOFTWARE IS PROVIDED BY THE COPYRIGHT HOLDERS AND CONTRIBUTORS "AS IS" AND
 * ANY EXPRESS OR IMPLIED WARRANTIES, INCLUDING, BUT NOT LIMITED TO, THE IMPLIED
 * WARRANTIES OF MERCHANTABILITY AND FITNESS FOR A PARTICULAR PURPOSE ARE
 * DISCLAIMED. IN NO EVENT SHALL THE COPYRIGHT HOLDER OR CONTRIBUTORS BE LIABLE
 * FOR ANY DIRECT, INDIRECT, INCIDENTAL, SPECIAL, EXEMPLARY, OR CONSEQUENTIAL
 * DAMAGES (INCLUDING, BUT NOT LIMITED TO, PROCUREMENT OF SUBSTITUTE GOODS OR
 * SERVICES; LOSS OF USE, DATA, OR PROFITS; OR BUSINESS INTERRUPTION) HOWEVER
 * CAUSED AND ON ANY THEORY OF LIABILITY, WHETHER IN CONTRACT, STRICT LIABILITY,
 * OR TORT (INCLUDING NEGLIGENCE OR OTHERWISE) ARISING IN ANY WAY OUT OF THE USE
 * OF THIS SOFTWARE, EVEN IF ADVISED OF THE POSSIBILITY OF SUCH DAMAGE.
 */function m(e,r=10){return r===16?e>47&&e<58||e>64&&e<71||e>96&&e<103:e>47&&e<48+r}u(m,"isDigit");function k(e,r){return e===32||e===9||e===10||e===13||r&&(e===r||e===44)||e===35}u(k,"isEndOfValue");function O(e,r){let i=e.p,t=e.s.charCodeAt(e.p);if(t===91||t===123){e.d--||f.x("document contains excessively nested structures. aborting.",e);let a=t===91?Y(e):G(e);return e.d++,a}return t===34||t===39?_(e):t===116?((e.s.charCodeAt(++e.p)!==114||e.s.charCodeAt(++e.p)!==117||e.s.charCodeAt(++e.p)!==101)&&f.x("invalid value",e,i),e.p++,!0):t===102?((e.s.charCodeAt(++e.p)!==97||e.s.charCodeAt(++e.p)!==108||e.s.charCodeAt(++e.p)!==115||e.s.charCodeAt(++e.p)!==101)&&f.x("invalid value",e,i),e.p++,!1):t===43||t===45?T(e,e.p,e.s.charCodeAt(++e.p),44-t,r):e.s.charCodeAt(e.p+4)===45&&e.s.charCodeAt(e.p+7)===45?K(e,t,r):e.s.charCodeAt(e.p+2)===58?R(e,t,r):T(e,e.p,t,0,r)}u(O,"extractValue");function T(e,r,i,t,a){let l=i,n=0,s=!1;if(l===105)return(e.s.charCodeAt(++e.p)!==110||e.s.charCodeAt(++e.p)!==102)&&f.x("invalid value",e,r),e.p++,(t||1)/0;if(l===110)return(e.s.charCodeAt(++e.p)!==97||e.s.charCodeAt(++e.p)!==110)&&f.x("invalid value",e,r),e.p++,NaN;if(l===48){if(++e.p>=e.s.length||k(l=e.s.charCodeAt(e.p),a))return e.bi===!0?0n:0;if(!t){if(l===120)return v(e,r,16,a);if(l===98)return v(e,r,2,a);if(l===111)return v(e,r,8,a)}l===46?n=2:l===101||l===69?n=4:f.x("illegal leading zero",e,r)}else m(l)||f.x("invalid value",e,r);for(;++e.p<e.s.length&&(l=e.s.charCodeAt(e.p),!k(l,a));)n||(n=1),l===95?(n&1||f.x("illegal underscore",e),n+=11,s=!0):n===1&&l===46?n=2:(n===1||n===3)&&(l===101||l===69)?n=4:n===4&&(l===43||l===45)?n=6:m(l)?n>9?n-=11:n&1||n++:f.x("illegal character in numeric literal",e);if(!n){let d=(i-48)*(t||1);return e.bi===!0?BigInt(d):d}n&1||f.x("unfinished numeric value",e,r);let o=e.s.slice(r,e.p);return s&&(o=o.replaceAll("_","")),n>1?parseFloat(o):$(e,o,10,r)}u(T,"parseNumber");function v(e,r,i,t){let a,l=1;for(;++e.p<e.s.length&&(a=e.s.charCodeAt(e.p),!k(a,t));)a===95?(l&1&&f.x("illegal underscore",e),l=3):m(a,i)?l&1&&l--:f.x("illegal character in numeric literal",e);l&1&&f.x("unfinished numeric value",e);let n=e.s.slice(r+2,e.p);return l&&(n=n.replaceAll("_","")),$(e,n,i,r)}u(v,"parseIntegerBaseN");function $(e,r,i,t){if(e.bi!==!0)e:{let a=parseInt(r,i);if(!Number.isSafeInteger(a)){if(e.bi)break e;f.x("integer value cannot be represented losslessly",e,t)}return a}return BigInt(i===10?r:(i===2?"0b":i===8?"0o":"0x")+r)}u($,"parseInteger");function K(e,r,i){let t=e.p++,a;if(!m(r)||!m(e.s.charCodeAt(e.p++))||!m(e.s.charCodeAt(e.p++))||!m(e.s.charCodeAt(e.p++)))return T(e,e.p=t,r,0,i);if(e.p+=5,m(e.s.charCodeAt(e.p++))||f.x("invalid date-time: date part is malformed",e,t),e.p>=e.s.length||((r=e.s.charCodeAt(e.p))!==32||(a=!0,!m(e.s.charCodeAt(e.p+1))))&&r!==84&&r!==116){let n=e.s.slice(t,e.p);return b(e,n,3,!1,t)}if(e.s.charCodeAt(e.p+=3)!==58&&f.x("invalid date-time: time part is malformed",e,t),e.s.charCodeAt(e.p+=3)===58&&(e.p+=3),e.s.charCodeAt(e.p)===46)for(;m(e.s.charCodeAt(++e.p)););if(r=e.s.charCodeAt(e.p)){if(r===90||r===122){let n=e.s.slice(t,++e.p);return b(e,n,1,a,t,"[+00:00]")}if(r===43||r===45){let n=e.s.slice(t,e.p+=6);return b(e,n,1,a,t,!e.ld&&"["+e.s.slice(e.p-6,e.p)+"]")}}let l=e.s.slice(t,e.p);return b(e,l,2,a,t)}u(K,"parseDate");function R(e,r,i){let t=e.p;if(!m(r)||!m(e.s.charCodeAt(++e.p)))return T(e,--e.p,r,0,i);if(e.s.charCodeAt(e.p+=4)===58&&(e.p+=3),e.s.charCodeAt(e.p)===46)for(;m(e.s.charCodeAt(++e.p)););let a=e.s.slice(t,e.p);return b(e,a,4,!1,t)}u(R,"parseTime");function b(e,r,i,t,a,l){if(e.ld){let n=new w(r,i,t);return n.isValid()||f.x("invalid date",e,a),n}try{switch(l&&(r+=l),i){case 1:return Temporal.ZonedDateTime.from(r);case 2:return Temporal.PlainDateTime.from(r);case 3:return Temporal.PlainDate.from(r);case 4:return Temporal.PlainTime.from(r)}}catch(n){f.x(n instanceof Error?n.message:""+n,e,a)}}u(b,"readDate");/*!
 * Copyright (c) Squirrel Chat et al., All rights reserved.
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * Redistribution and use in source and binary forms, with or without
 * modification, are permitted provided that the following conditions are met:
 *
 * 1. Redistributions of source code must retain the above copyright notice, this
 *    list of conditions and the following disclaimer.
 * 2. Redistributions in binary form must reproduce the above copyright notice,
 *    this list of conditions and the following disclaimer in the
 *    documentation and/or other materials provided with the distribution.
 * 3. Neither the name of the copyright holder nor the names of its contributors
 *    may be used to endorse or promote products derived from this software without
 *    specific prior written permission.
 *
 * THIS SOFTWARE IS PROVIDED BY THE COPYRIGHT HOLDERS AND CONTRIBUTORS "AS IS" AND
 * ANY EXPRESS OR IMPLIED WARRANTIES, INCLUDING, BUT NOT LIMITED TO, THE IMPLIED
 * WARRANTIES OF MERCHANTABILITY AND FITNESS FOR A PARTICULAR PURPOSE ARE
 * DISCLAIMED. IN NO EVENT SHALL THE COPYRIGHT HOLDER OR CONTRIBUTORS BE LIABLE
 * FOR ANY DIRECT, INDIRECT, INCIDENTAL, SPECIAL, EXEMPLARY, OR CONSEQUENTIAL
 * DAMAGES (INCLUDING, BUT NOT LIMITED TO, PROCUREMENT OF SUBSTITUTE GOODS OR
 * SERVICES; LOSS OF USE, DATA, OR PROFITS; OR BUSINESS INTERRUPTION) HOWEVER
 * CAUSED AND ON ANY THEORY OF LIABILITY, WHETHER IN CONTRACT, STRICT LIABILITY,
 * OR TORT (INCLUDING NEGLIGENCE OR OTHERWISE) ARISING IN ANY WAY OUT OF THE USE
 * OF THIS SOFTWARE, EVEN IF ADVISED OF THE POSSIBILITY OF SUCH DAMAGE.
 */function q(e){for(;e.p<e.s.length;e.p++){let r=e.s.charCodeAt(e.p);if(r===10)break;if(r===13&&e.s.charCodeAt(e.p+1)===10){e.p++;break}(r<32&&r!==9||r===127)&&f.x("control characters are not allowed in comments",e)}}u(q,"skipComment");function C(e,r,i){let t;for(;e.p<e.s.length;){for(;e.p<e.s.length&&((t=e.s.charCodeAt(e.p))===32||t===9||!r&&(t===10||t===13&&e.s.charCodeAt(e.p+1)===10));)e.p++;if(i||t!==35)break;q(e)}}u(C,"skipVoid");/*!
 * Copyright (c) Squirrel Chat et al., All rights reserved.
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * Redistribution and use in source and binary forms, with or without
 * modification, are permitted provided that the following conditions are met:
 *
 * 1. Redistributions of source code must retain the above copyright notice, this
 *    list of conditions and the following disclaimer.
 * 2. Redistributions in binary form must reproduce the above copyright notice,
 *    this list of conditions and the following disclaimer in the
 *    documentation and/or other materials provided with the distribution.
 * 3. Neither the name of the copyright holder nor the names of its contributors
 *    may be used to endorse or promote products derived from this software without
 *    specific prior written permission.
 *
 * THIS SOFTWARE IS PROVIDED BY THE COPYRIGHT HOLDERS AND CONTRIBUTORS "AS IS" AND
 * ANY EXPRESS OR IMPLIED WARRANTIES, INCLUDING, BUT NOT LIMITED TO, THE IMPLIED
 * WARRANTIES OF MERCHANTABILITY AND FITNESS FOR A PARTICULAR PURPOSE ARE
 * DISCLAIMED. IN NO EVENT SHALL THE COPYRIGHT HOLDER OR CONTRIBUTORS BE LIABLE
 * FOR ANY DIRECT, INDIRECT, INCIDENTAL, SPECIAL, EXEMPLARY, OR CONSEQUENTIAL
 * DAMAGES (INCLUDING, BUT NOT LIMITED TO, PROCUREMENT OF SUBSTITUTE GOODS OR
 * SERVICES; LOSS OF USE, DATA, OR PROFITS; OR BUSINESS INTERRUPTION) HOWEVER
 * CAUSED AND ON ANY THEORY OF LIABILITY, WHETHER IN CONTRACT, STRICT LIABILITY,
 * OR TORT (INCLUDING NEGLIGENCE OR OTHERWISE) ARISING IN ANY WAY OUT OF THE USE
 * OF THIS SOFTWARE, EVEN IF ADVISED OF THE POSSIBILITY OF SUCH DAMAGE.
 */function D(e,r=61){let i,t=0,a=[],l,n=e.s.charCodeAt(i=e.p);do{if(n===r)return t||f.x("unexpected end of key",e),t===1&&a.push(e.s.slice(l,e.p)),e.p++,a;n===46?(t||f.x("illegal empty bare key",e),t===1&&a.push(e.s.slice(l,e.p)),t=0):!t&&(n===34||n===39)?(n===e.s.charCodeAt(e.p+1)&&n===e.s.charCodeAt(e.p+2)&&f.x("illegal quoted key: multiline strings are not allowed",e),a.push(_(e)),t=2,e.p--):n===32||n===9?t===1&&(a.push(e.s.slice(l,e.p)),t=2):t===2||n<48&&n!==45||n>57&&n<65||n>90&&n<97&&n!==95||n>122?f.x("illegal character in key",e):t||(t=1,l=e.p)}while(n=e.s.charCodeAt(++e.p));f.x("incomplete key-value: cannot find end of key",e,i)}u(D,"parseKey");function G(e){let r=e.p++,i=Object.create(null),t=new Set,a;for(;e.p<e.s.length;){if(C(e),(a=e.s.charCodeAt(e.p))===125)return e.p++,i;let l,n=i,s=!1,o=e.p,d=D(e);for(let h=0;h<d.length;h++){h&&(n=s?n[l]:n[l]=Object.create(null)),l=d[h],(s=Object.hasOwn(n,l))&&(typeof n[l]!="object"||t.has(n[l]))&&f.x("trying to redefine an already defined value",e,o);let A=l==="__proto__";if(e.uk&&(A||l==="constructor")){n=e.uk!==1&&f.x("document contains an unsafe property",e,o);break}!s&&A&&Object.defineProperty(n,l,{enumerable:!0,configurable:!0,writable:!0})}s&&f.x("trying to redefine an already defined value",e,o),C(e,!0,!0);let p=O(e,125);if(n&&typeof(n[l]=p)=="object"&&t.add(p),C(e),(a=e.s.charCodeAt(e.p++))===125)return i;a!==44&&f.x("expected comma or end of structure",e,e.p-1)}f.x("unfinished table",e,r)}u(G,"parseInlineTable");function Y(e){let r=e.p++,i=[],t;for(;e.p<e.s.length;){if(C(e),(t=e.s.charCodeAt(e.p))===93)return e.p++,i;if(i.push(O(e,93)),C(e),(t=e.s.charCodeAt(e.p++))===93)return i;t!==44&&f.x("expected comma or end of structure",e,e.p-1)}f.x("unfinished array",e,r)}u(Y,"parseArray");/*!
 * Copyright (c) Squirrel Chat et al., All rights reserved.
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * Redistribution and use in source and binary forms, with or without
 * modification, are permitted provided that the following conditions are met:
 *
 * 1. Redistributions of source code must retain the above copyright notice, this
 *    list of conditions and the following disclaimer.
 * 2. Redistributions in binary form must reproduce the above copyright notice,
 *    this list of conditions and the following disclaimer in the
 *    documentation and/or other materials provided with the distribution.
 * 3. Neither the name of the copyright holder nor the names of its contributors
 *    may be used to endorse or promote products derived from this software without
 *    specific prior written permission.
 *
 * THIS SOFTWARE IS PROVIDED BY THE COPYRIGHT HOLDERS AND CONTRIBUTORS "AS IS" AND
 * ANY EXPRESS OR IMPLIED WARRANTIES, INCLUDING, BUT NOT LIMITED TO, THE IMPLIED
 * WARRANTIES OF MERCHANTABILITY AND FITNESS FOR A PARTICULAR PURPOSE ARE
 * DISCLAIMED. IN NO EVENT SHALL THE COPYRIGHT HOLDER OR CONTRIBUTORS BE LIABLE
 * FOR ANY DIRECT, INDIRECT, INCIDENTAL, SPECIAL, EXEMPLARY, OR CONSEQUENTIAL
 * DAMAGES (INCLUDING, BUT NOT LIMITED TO, PROCUREMENT OF SUBSTITUTE GOODS OR
 * SERVICES; LOSS OF USE, DATA, OR PROFITS; OR BUSINESS INTERRUPTION) HOWEVER
 * CAUSED AND ON ANY THEORY OF LIABILITY, WHETHER IN CONTRACT, STRICT LIABILITY,
 * OR TORT (INCLUDING NEGLIGENCE OR OTHERWISE) ARISING IN ANY WAY OUT OF THE USE
 * OF THIS SOFTWARE, EVEN IF ADVISED OF THE POSSIBILITY OF SUCH DAMAGE.
 */function N(e,r,i,t,a){let l=i,n=t,s,o=!1,d;for(let p=0;p<r.length;p++){if(p){if(l=o?l[s]:l[s]=Object.create(null),n=(d=n[s]).c,a===0&&(d.t===1||d.t===2))return null;if(d.t===2){let h=l.length-1;l=l[h],n=n[h].c}}if(s=r[p],(o=Object.hasOwn(l,s))&&n[s]?.t===0&&n[s]?.d)return null;if(!o){let h=s==="__proto__";if(e.uk&&(h||s==="constructor"))return!1;h&&(Object.defineProperty(l,s,{enumerable:!0,configurable:!0,writable:!0}),Object.defineProperty(n,s,{enumerable:!0,configurable:!0,writable:!0})),n[s]={t:p<r.length-1&&a===2?3:a,d:!1,i:0,c:Object.create(null)}}}if(d=n[s],d.t!==a&&!(a===1&&d.t===3)||(a===2&&(d.d||(d.d=!0,l[s]=[]),l[s].push(l=Object.create(null)),d.c[d.i++]=d={t:1,d:!1,i:0,c:Object.create(null)}),d.d))return null;if(d.d=!0,a===1)l=o?l[s]:l[s]=Object.create(null);else if(a===0&&o)return null;return[s,l,d.c]}u(N,"peekTable");function z(e,r,i){(r===null||e.uk===2)&&f.x(r===null?"trying to redefine an already defined table or value":"document contains an unsafe property",e,i)}u(z,"validateTablePeek");function P(e,r={}){let i={s:e,p:0,d:r.maxDepth??1e3,bi:r.integersAsBigInt??!1,ld:r.useLegacyDate??!0,uk:r.unsafeKeyBehaviour==="throw"?2:r.unsafeKeyBehaviour==="drop"?1:0},t=Object.create(null),a=Object.create(null),l,n=!1,s=t,o=a;for(e.charCodeAt(0)===65279&&i.p++,C(i);i.p<e.length;){if(e.charCodeAt(i.p)===91){let d=e.charCodeAt(++i.p)===91;l=i.p+=+d,n=!1;let p=D(i,93);d&&(e.charCodeAt(i.p)!==93&&f.x("expected end of table array declaration",i),i.p++);let h=N(i,p,t,a,d?2:1);h?(o=h[2],s=h[1]):(z(i,h,l),n=!0)}else{l=i.p;let d=D(i),p=N(i,d,s,o,0);!p&&!n&&z(i,p,l),C(i,!0,!0);let h=O(i,void 0);p&&!n&&(p[1][p[0]]=h)}C(i,!0),i.p<e.length&&(l=e.charCodeAt(i.p))!==10&&(l!==13||e.charCodeAt(i.p+1)!==10)&&f.x("each key-value declaration must be followed by an end-of-line",i),C(i)}return t}u(P,"parse");/*!
 * Copyright (c) Squirrel Chat et al., All rights reserved.
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * Redistribution and use in source and binary forms, with or without
 * modification, are permitted provided that the following conditions are met:
 *
 * 1. Redistributions of source code must retain the above copyright notice, this
 *    list of conditions and the following disclaimer.
 * 2. Redistributions in binary form must reproduce the above copyright notice,
 *    this list of conditions and the following disclaimer in the
 *    documentation and/or other materials provided with the distribution.
 * 3. Neither the name of the copyright holder nor the names of its contributors
 *    may be used to endorse or promote products derived from this software without
 *    specific prior written permission.
 *
 * THIS SOFTWARE IS PROVIDED BY THE COPYRIGHT HOLDERS AND CONTRIBUTORS "AS IS" AND
 * ANY EXPRESS OR IMPLIED WARRANTIES, INCLUDING, BUT NOT LIMITED TO, THE IMPLIED
 * WARRANTIES OF MERCHANTABILITY AND FITNESS FOR A PARTICULAR PURPOSE ARE
 * DISCLAIMED. IN NO EVENT SHALL THE COPYRIGHT HOLDER OR CONTRIBUTORS BE LIABLE
 * FOR ANY DIRECT, INDIRECT, INCIDENTAL, SPECIAL, EXEMPLARY, OR CONSEQUENTIAL
 * DAMAGES (INCLUDING, BUT NOT LIMITED TO, PROCUREMENT OF SUBSTITUTE GOODS OR
 * SERVICES; LOSS OF USE, DATA, OR PROFITS; OR BUSINESS INTERRUPTION) HOWEVER
 * CAUSED AND ON ANY THEORY OF LIABILITY, WHETHER IN CONTRACT, STRICT LIABILITY,
 * OR TORT (INCLUDING NEGLIGENCE OR OTHERWISE) ARISING IN ANY WAY OUT OF THE USE
 * OF THIS SOFTWARE, EVEN IF ADVISED OF THE POSSIBILITY OF SUCH DAMAGE.
 */let H=/^[a-z0-9-_]+$/i,Z=!!"".isWellFormed;function y(e){let r=typeof e;if(r==="object"){if(Array.isArray(e))return"array";if(typeof e.getUTCDate=="function"&&e instanceof Date)return"date";if(globalThis.Temporal){if(e.until){if(e instanceof Temporal.ZonedDateTime)return"temporal/tz+uc";if(e instanceof Temporal.PlainDateTime||e instanceof Temporal.PlainDate)return"temporal/uc";if(e instanceof Temporal.PlainTime||e instanceof Temporal.Instant)return"temporal";if(e instanceof Temporal.PlainYearMonth)return"temporal/x"}else if(e.toPlainDate&&e instanceof Temporal.PlainMonthDay||e.negated&&e instanceof Temporal.Duration)return"temporal/x"}}return r}u(y,"extendedTypeOf");function J(e){for(let r=0;r<e.length;r++)if(y(e[r])!=="object")return!1;return e.length!=0}u(J,"isArrayOfTables");function L(e){return JSON.stringify(e).replaceAll("\x7F","\\u007f")}u(L,"formatWellFormedStringUnchecked");function Q(e){return L(Z?e.toWellFormed():e)}u(Q,"formatString");function B(e){if(H.test(e))return e;if(Z&&!e.isWellFormed())throw new RangeError("key contains illegal lone surrogates");return L(e)}u(B,"formatKey");function E(e,r,i,t,a){if(i===0)throw new Error("Could not stringify the object: maximum object depth exceeded");switch(r){case"number":if(isNaN(e))return"nan";if(e===1/0)return"inf";if(e===-1/0)return"-inf";if(Number.isInteger(e)&&(t||!Number.isSafeInteger(e)))return e.toFixed(1);case"bigint":case"boolean":case"temporal":return e.toString();case"string":return Q(e);case"date":if(isNaN(e.getTime()))throw new TypeError("cannot serialize invalid date");return e.toISOString();case"object":return X(e,i,t,a);case"array":return x(e,i,t,a);case"temporal/tz+uc":if(a){let l=e.timeZoneId,n=l.charCodeAt(0);if(n!==43&&n!==45&&(n!==85&&n!==71&&n!==90&&n!==69||l!=="UTC"&&l!=="UCT"&&l!=="Universal"&&l!=="Zulu"&&!l.startsWith("GMT")&&l!=="Greenwich"&&!l.startsWith("Etc/")))throw new TypeError("Temporal objects with an IANA timezone are not allowed in Temporal strict mode")}case"temporal/uc":if(a&&e.calendarId!=="iso8601")throw new TypeError("Temporal objects with a non-default calendar are not allowed in Temporal strict mode");return e.toString({calendarName:"never",timeZoneName:"never"});case"temporal/x":throw new TypeError("Unsupported "+e[Symbol.toStringTag])}}u(E,"stringifyValue");function X(e,r,i,t){let a=Object.keys(e);if(a.length===0)return"{}";let l="{ ";for(let n=0;n<a.length;n++){let s=a[n];n&&(l+=", "),l+=B(s)+" = "+E(e[s],y(e[s]),r-1,i,t)}return l+" }"}u(X,"stringifyInlineTable");function x(e,r,i,t){if(e.length===0)return"[]";let a="[ ";for(let l=0;l<e.length;l++){if(l&&(a+=", "),e[l]===null||e[l]===void 0)throw new TypeError("arrays cannot contain null or undefined values");a+=E(e[l],y(e[l]),r-1,i,t)}return a+" ]"}u(x,"stringifyArray");function ee(e,r,i,t,a){if(i===0)throw new Error("Could not stringify the object: maximum object depth exceeded");let l="";for(let n=0;n<e.length;n++)l+=`${l&&`
`}[[${r}]]
`,l+=I(0,e[n],r,i,t,a);return l}u(ee,"stringifyArrayTable");function I(e,r,i,t,a,l){if(t===0)throw new Error("Could not stringify the object: maximum object depth exceeded");let n="",s="",o=Object.keys(r);for(let d=0;d<o.length;d++){let p=o[d];if(r[p]!==null&&r[p]!==void 0){let h=y(r[p]);if(h==="symbol"||h==="function")throw new TypeError(`cannot serialize values of type '${h}'`);let A=B(p);if(h==="array"&&J(r[p]))s+=(s&&`
`)+ee(r[p],i?`${i}.${A}`:A,t-1,a,l);else if(h==="object"){let g=i?`${i}.${A}`:A;s+=(s&&`
`)+I(g,r[p],g,t-1,a,l)}else n+=A,n+=" = ",n+=E(r[p],h,t,a,l),n+=`
`}}return e&&(n||!s)&&(n=n?`[${e}]
${n}`:`[${e}]`),n&&s?`${n}
${s}`:n||s}u(I,"stringifyTable");function M(e,{maxDepth:r=1e3,numbersAsFloat:i=!1,strictTemporal:t=!1}={}){if(y(e)!=="object")throw new TypeError("stringify can only be called with an object");let a=I(0,e,"",r,i,t);return a[a.length-1]!==`
`?a+`
`:a}u(M,"stringify");/*!
 * Copyright (c) Squirrel Chat et al., All rights reserved.
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * Redistribution and use in source and binary forms, with or without
 * modification, are permitted provided that the following conditions are met:
 *
 * 1. Redistributions of source code must retain the above copyright notice, this
 *    list of conditions and the following disclaimer.
 * 2. Redistributions in binary form must reproduce the above copyright notice,
 *    this list of conditions and the following disclaimer in the
 *    documentation and/or other materials provided with the distribution.
 * 3. Neither the name of the copyright holder nor the names of its contributors
 *    may be used to endorse or promote products derived from this software without
 *    specific prior written permission.
 *
 * THIS SOFTWARE IS PROVIDED BY THE COPYRIGHT HOLDERS AND CONTRIBUTORS "AS IS" AND
 * ANY EXPRESS OR IMPLIED WARRANTIES, INCLUDING, BUT NOT LIMITED TO, THE IMPLIED
 * WARRANTIES OF MERCHANTABILITY AND FITNESS FOR A PARTICULAR PURPOSE ARE
 * DISCLAIMED. IN NO EVENT SHALL THE COPYRIGHT HOLDER OR CONTRIBUTORS BE LIABLE
 * FOR ANY DIRECT, INDIRECT, INCIDENTAL, SPECIAL, EXEMPLARY, OR CONSEQUENTIAL
 * DAMAGES (INCLUDING, BUT NOT LIMITED TO, PROCUREMENT OF SUBSTITUTE GOODS OR
 * SERVICES; LOSS OF USE, DATA, OR PROFITS; OR BUSINESS INTERRUPTION) HOWEVER
 * CAUSED AND ON ANY THEORY OF LIABILITY, WHETHER IN CONTRACT, STRICT LIABILITY,
 * OR TORT (INCLUDING NEGLIGENCE OR OTHERWISE) ARISING IN ANY WAY OUT OF THE USE
 * OF THIS SOFTWARE, EVEN IF ADVISED OF THE POSSIBILITY OF SUCH DAMAGE.
 */const ie={parse:P,stringify:M,TomlDate:w,TomlError:f}})};
