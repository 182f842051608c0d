// The dialog “My deck”: how thick a card is, learnt from packets of known count.

import { countedPackets, fitCard, forgetPackets, keepPacket } from "./deck.js";
import { $ } from "./dom.js";

/**
 * Ask for the count of the packet that was just filmed, if there is one, and keep it.
 *
 * `counted` is what `Recording.count` returns, or null; `metadata` is the network's; `changed` is
 * called if the thickness of a card may have changed.
 */
export function askDeck(counted, { card: [, , usual], deck }, changed) {
  const packets = countedPackets();
  const thickness = fitCard(packets, usual).toFixed(3);
  const from = packets.length === 1 ? "one packet" : `${packets.length} packets`;
  $("thickness").textContent = packets.length
    ? `A card of your deck is ${thickness} mm thick, by ${from} of known count.`
    : `Counts assume cards of the usual thickness, ${thickness} mm.`;
  $("forget").hidden = !packets.length;
  $("teach").hidden = $("keep").hidden = !counted?.box;
  $("how").hidden = Boolean(counted?.box);
  $("really").max = deck;
  $("really").value = "";
  $("really").required = Boolean(counted?.box);
  $("measured").textContent = counted?.cards.toFixed(1);
  const dialog = $("deck");
  dialog.returnValue = "";
  dialog.onclose = () => {
    if (dialog.returnValue === "forget") forgetPackets();
    else if (dialog.returnValue === "keep") {
      const { numbers, covariance } = counted.box;
      const deviation = Math.sqrt(covariance[0][0]);
      keepPacket({ thickness: numbers[0], deviation, count: Number($("really").value) });
    } else return;
    changed();
  };
  dialog.showModal();
}
