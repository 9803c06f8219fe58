const lanes={},events=trace.filter(e=>e.ph=='X'||(lanes[e.tid]=e.args.name,0));
const commands=events.filter(e=>e.args.verb).sort((a,b)=>a.ts-b.ts);
const ms=us=>us>=1e6?(us/1e6).toFixed(2)+' s':us>=1000?(us/1000).toFixed(us<1e4?2:1)+' ms':us.toFixed(0)+' µs';
const make=(kind,cls,text)=>{const n=document.createElement(kind);if(cls)n.className=cls;if(text!=null)n.textContent=text;return n};
for(const command of commands){
 const end=command.ts+command.dur,own=events.filter(e=>e!=command&&!commands.includes(e)&&e.ts+e.dur>=command.ts-1&&e.ts<=end);
 const boot=own.find(e=>e.name.startsWith('start Python'));
 const first=boot?boot.ts:command.ts,inside=own.filter(e=>e==boot||e.ts>=command.ts-1);
 const steps=inside.filter(e=>e.args.step);if(!steps.length)inside.push(command);
 const box=make('section'),head=make('header');
 head.append(make('h2','',command.name),make('span','',ms(end-first)+(steps.length?', '+steps.length+' steps, ':', ')+command.args.note));
 const reset=make('button','zoom','whole');head.append(reset);
 const chart=make('div','chart'),said=make('div','said','Point at a bar; press it to see it larger.');
 let from=first,to=end;
 const show=e=>{said.replaceChildren(make('b','',e.name),make('br'),make('span','mono',(e.args.step?'step '+e.args.step+
  ' '+e.args.kind+' · ':'')+ms(e.dur)+' · '+(e.args.because||e.args.note||'')+(e.args.ended===false?(/^(Execve|EnterModule|WaitForStart)$/.test(e.args.kind)?' · the program, as long as the command lasted':' · failed'):'')))};
 const draw=()=>{chart.replaceChildren();
  for(const id of [1,2,3,4]){const row=inside.filter(e=>e.tid==id);if(!row.length)continue;
   const lane=make('div','lane');
   for(const e of row){const left=(e.ts-from)/(to-from)*100,width=e.dur/(to-from)*100;
    if(left>100||left+width<0)continue;
    const bar=make('button','bar '+(e.args.ended===false&&!/^(Execve|EnterModule|WaitForStart)$/.test(e.args.kind)?'open':'t'+id),width>4?e.name:'');
    bar.style.left=Math.max(left,0)+'%';bar.style.width=Math.min(width,100-Math.max(left,0))+'%';bar.title=e.name+'  '+ms(e.dur);
    bar.onmouseenter=bar.onfocus=()=>show(e);
    bar.onclick=()=>{const pad=e.dur*.6;from=Math.max(first,e.ts-pad);to=Math.min(end,e.ts+e.dur+pad);draw();show(e)};
    lane.append(bar)}
   chart.append(make('div','name',lanes[id].split(' (')[0]),lane)}
  const axis=make('div','axis');for(let i=0;i<=5;i++){const mark=make('i','',ms(from-first+(to-from)*i/5));mark.style.left=i*20+'%';axis.append(mark)}
  chart.append(make('div'),axis);reset.hidden=from==first&&to==end};
 reset.onclick=()=>{from=first;to=end;draw()};
 draw();box.append(head,chart,said);
 const slow=[...inside].filter(e=>e.tid!=3).sort((a,b)=>b.dur-a.dur).slice(0,8),table=make('table');
 const title=make('tr');for(const word of ['time','what','because'])title.append(make('th','',word));table.append(title);
 for(const e of slow){const row=make('tr');for(const cell of [ms(e.dur),e.name,e.args.because||e.args.note||''])row.append(make('td','',cell));table.append(row)}
 box.append(table);document.body.append(box)}
