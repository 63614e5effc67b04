/// A short text of our own to measure perplexity on, so that a demo needs no download: plain English of several kinds.
public enum EvaluationText {
    public static let bridge = """
        The bridge at Marrow Ford is not old, as bridges go, but nobody in the village can remember the river \
        without it. Before the bridge there was a ferry, a flat boat pulled along a rope, and before the ferry there \
        was only the ford, which could be crossed on foot in August and on a horse in May. In the winter nobody \
        crossed at all. People on the two banks married their neighbours, traded with their neighbours, and told \
        stories about the strange habits of those who lived on the other side.

        When the engineer came to measure the river, she stayed at the inn for three weeks. Every morning she walked \
        down to the water with a long pole and a notebook. The children followed her and asked what she was writing. \
        "Numbers," she said. "The river is deeper here than it looks, and slower there than you would think." She \
        let them hold the pole. By the end of the second week they could read the depth as well as she could, and \
        one of them, the miller's youngest daughter, had started a notebook of her own.

        A bridge must carry three things: its own weight, the weight of whatever crosses it, and the force of the \
        wind and the water that push against it from the side. The first of these is usually the largest. That is \
        why a longer bridge is so much harder to build than a shorter one: to span twice the distance, the beams \
        must be more than twice as heavy, and most of their strength is spent on holding up themselves. An arch \
        solves part of this problem by turning the load into pressure, which stone bears well. A suspension bridge \
        solves it by turning the load into tension, which steel bears well. Each material has a shape in which it is \
        strong.

        The engineer chose an arch, because there was good stone in the hills and nobody in the valley who could \
        work with steel. It took two summers. In the first summer they built the foundations and cut the stone. In \
        the second they raised a wooden frame across the river, laid the stones upon it from both sides, and set the \
        last one, the keystone, in the middle of the top. Then they took the frame away. The whole village came to \
        watch, and for a moment, when the wedges were knocked out and the stones settled against each other with a \
        sound like a cough, nobody breathed. Nothing fell. The engineer walked across first, by herself, and then \
        she walked back.

        After that, things changed slowly. The market moved to the bridge, because it was now the middle of \
        everything. The doctor, who lived on the east bank, could reach the farms on the west bank in half an hour. \
        The school had twice as many pupils and needed a second teacher. Some people complained that there was more \
        noise, and they were right. Others complained that the fish had gone, which was not true; the fish had only \
        moved to the shadow under the arch, where the water was cool.

        The miller's daughter left the village when she was seventeen and came back when she was thirty, with a long \
        pole, a better notebook, and a contract to build a second bridge, further down the river, for the railway. \
        She stayed at the same inn. On the first morning she walked down to the water and found that a group of \
        children was already waiting for her. She gave the pole to the smallest one. "Tell me how deep it is," she \
        said, "and then tell me how you know."
        """
}
