using KvMesh.Codecs.Layouts;

namespace KvMesh.Codecs.Blocks;

/// <summary>Takes their positions out of the keys of a strip and puts them back, for codecs that gain by it.</summary>
internal static class KeyTurning
{
    /// <summary>Whether the strip holds keys that were turned to their positions, by a rotation that the layout tells. Not where tokens were dropped.</summary>
    public static bool Applies(in StripShape shape) =>
        shape is { Kind: PlaneKind.Key, HasGaps: false, Layout: { Rotation: not null, KeyStage: KeyStage.Rotated } };

    /// <summary>Rows of all tokens of the strip, from rotated keys to ones without a position.</summary>
    public static void TurnBack(in StripShape shape, Span<float> rows, CodecScratch scratch) => Turn(shape, rows, back: true, scratch);

    public static void TurnForth(in StripShape shape, Span<float> rows, CodecScratch scratch) => Turn(shape, rows, back: false, scratch);

    private static void Turn(in StripShape shape, Span<float> rows, bool back, CodecScratch scratch)
    {
        var table = scratch.RotationTable(shape.Layout, shape.FirstPosition, shape.Tokens);
        shape.Layout.Rotation!.Turn(rows, shape.Channels, table, back, scratch.Level);
    }
}
