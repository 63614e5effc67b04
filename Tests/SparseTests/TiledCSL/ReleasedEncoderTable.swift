/// What the encoder released with Flash-LLM makes of seeded matrices: the host function `InitSparseMatrixA_API`,
/// compiled unchanged with a stand-in for CUDA's `half`. Shapes that are no multiples of 128 x 64 were padded with
/// zeros for it.
///
/// The matrices are `RandomMatrix`'s; the hashes are 64-bit FNV-1a over the little-endian bytes.
enum ReleasedEncoderTable {
    struct Row: Sendable, CustomStringConvertible {
        let matrix: RandomMatrix
        let wordCount: Int
        let wordsHash: UInt64
        let tileOffsetsHash: UInt64

        init(
            _ rows: Int, _ columns: Int, _ densityPercent: UInt64, _ bankCount: Int, _ seed: UInt64, _ wordCount: Int,
            _ wordsHash: UInt64, _ tileOffsetsHash: UInt64
        ) {
            matrix = RandomMatrix(
                rows: rows, columns: columns, densityPercent: densityPercent, bankCount: bankCount, seed: seed)
            self.wordCount = wordCount
            self.wordsHash = wordsHash
            self.tileOffsetsHash = tileOffsetsHash
        }

        var description: String { matrix.description }
    }

    /// Rows, columns, density in percent, banks that nonzeros may lie in, seed; number of words, hash of the words,
    /// hash of the tile offsets.
    static let rows: [Row] = [
        Row(128, 64, 0, 32, 1, 0, 0xCBF2_9CE4_8422_2325, 0x5467_B0DA_1D10_6495),
        Row(128, 64, 1, 32, 2, 68, 0x5495_4233_0FC9_68CF, 0xE565_E5CE_1CBD_FE05),
        Row(128, 64, 10, 32, 3, 856, 0x3A28_B9E3_D143_689F, 0x2EF9_FCB9_C587_D8D5),
        Row(128, 64, 50, 32, 4, 4096, 0x7EEC_A82D_9E4B_E4D4, 0x61C3_AEB0_E961_13D5),
        Row(128, 64, 80, 32, 5, 6560, 0x2DDB_585F_1AE4_7E74, 0x4467_5F1D_8773_5535),
        Row(128, 64, 90, 32, 6, 7376, 0x3F46_4575_5310_E3B7, 0x8C81_29DC_D5B6_D1F5),
        Row(128, 64, 99, 32, 7, 8116, 0xA0E6_7F77_841A_6AE7, 0x15BE_230D_6268_0CD5),
        Row(128, 64, 100, 32, 8, 8192, 0x4120_18F5_2568_D7E5, 0x6F1F_AC87_B5B1_C315),
        Row(256, 192, 0, 32, 9, 0, 0xCBF2_9CE4_8422_2325, 0x0C82_1078_4D8A_F5A5),
        Row(256, 192, 1, 32, 10, 520, 0xA0FF_7DD3_6AEE_641F, 0xB93D_A417_D321_69C2),
        Row(256, 192, 10, 32, 11, 4864, 0x5087_2091_5563_4879, 0xEEB1_0895_3C43_56DA),
        Row(256, 192, 50, 32, 12, 24840, 0x437B_AF53_34AF_CC13, 0x5578_9BFF_E3ED_9D76),
        Row(256, 192, 80, 32, 13, 39392, 0x8C27_5DFB_D64B_02E2, 0xF70A_BA1C_A129_5427),
        Row(256, 192, 90, 32, 14, 44248, 0x61C1_866C_655F_47C3, 0x508A_D121_35B7_5FBB),
        Row(256, 192, 99, 32, 15, 48684, 0xBEE6_1496_4E6C_09AC, 0x5709_20F8_4F93_0610),
        Row(256, 192, 100, 32, 16, 49152, 0xDC01_7BD5_AE97_09AA, 0x6F89_4BA6_5921_AC4D),
        Row(384, 64, 0, 32, 17, 0, 0xCBF2_9CE4_8422_2325, 0xEE85_FAFD_354B_0935),
        Row(384, 64, 1, 32, 18, 256, 0xF5FF_A407_619F_6D99, 0x4849_D2A8_A7A4_770F),
        Row(384, 64, 10, 32, 19, 2408, 0x6082_E39C_ECAC_BECB, 0x385E_6DA0_D5AF_FD21),
        Row(384, 64, 50, 32, 20, 12288, 0xA61F_A59A_24D7_738C, 0x1C83_7759_D4F9_36C6),
        Row(384, 64, 80, 32, 21, 19636, 0xEF2C_93FD_441D_8A0A, 0xEACA_D538_4612_5D4C),
        Row(384, 64, 90, 32, 22, 22068, 0x6FDC_57A5_E83B_4628, 0x7AA4_C205_4504_FA23),
        Row(384, 64, 99, 32, 23, 24336, 0x536D_1C4F_42FF_C59C, 0xF631_E134_F824_1F7C),
        Row(384, 64, 100, 32, 24, 24576, 0x2753_3071_6D2E_CA5E, 0xD94E_A5BE_A094_8FCD),
        Row(128, 320, 0, 32, 25, 0, 0xCBF2_9CE4_8422_2325, 0x17D9_C152_39D0_81D5),
        Row(128, 320, 1, 32, 26, 432, 0x1121_B184_DE49_B85E, 0xD731_14AE_8894_1A48),
        Row(128, 320, 10, 32, 27, 4088, 0xFE4E_98A6_6BA5_C068, 0x660E_D91C_B496_96BC),
        Row(128, 320, 50, 32, 28, 20548, 0x0240_FFD8_B3C5_D21E, 0x2569_07D8_8A9E_F0A2),
        Row(128, 320, 80, 32, 29, 32808, 0xE2CB_3462_DEEE_7EF9, 0x9088_9162_A9E2_0522),
        Row(128, 320, 90, 32, 30, 36792, 0x81D7_870B_B2F4_7260, 0xCC2D_606F_E6A6_06F4),
        Row(128, 320, 99, 32, 31, 40544, 0x3051_27CE_47EC_41C8, 0x8325_C474_D8CB_1DD7),
        Row(128, 320, 100, 32, 32, 40960, 0xE8EC_C437_D768_193C, 0xD7E9_56BA_4DE4_4A55),
        Row(128, 128, 100, 1, 33, 512, 0x1F44_5768_D813_53AF, 0xBC85_AEF2_1AED_DF25),
        Row(128, 128, 100, 2, 34, 1024, 0x00CA_4E00_97EF_86E6, 0x29B5_4F01_ACF7_37B5),
        Row(128, 128, 100, 3, 35, 1536, 0xA6F0_28E1_B0DA_7B9E, 0x58E1_E745_562F_D375),
        Row(128, 128, 100, 7, 36, 3584, 0x3E8C_A215_6A44_4D0E, 0x2828_854D_3505_916A),
        Row(128, 128, 100, 17, 37, 8704, 0xF50A_1728_5A6B_2F3E, 0x0F04_2B15_64A2_C679),
        Row(128, 128, 100, 31, 38, 15872, 0x0B47_15C1_BEAA_D81F, 0x03D0_397C_6E08_0528),
        Row(128, 128, 50, 1, 39, 252, 0x2E84_63D8_3442_39A2, 0x52C4_1628_AFCD_5FA4),
        Row(128, 128, 50, 2, 40, 500, 0x9AA8_EE76_7290_DC20, 0xFC40_7E9C_5520_A1F8),
        Row(128, 128, 50, 3, 41, 772, 0xC4A1_D6A7_E844_36E8, 0xD27F_6498_B275_AFF5),
        Row(128, 128, 50, 7, 42, 1780, 0xEA63_CDD9_2177_DD54, 0xB2C5_3FD6_ABB5_22E1),
        Row(128, 128, 50, 17, 43, 4344, 0x5899_6F62_3E7B_BC52, 0x769E_46E9_4D74_C06E),
        Row(128, 128, 50, 31, 44, 7924, 0x7878_326D_B9AB_9012, 0xF593_5969_C6B7_AD6E),
        Row(1, 1, 30, 32, 45, 0, 0xCBF2_9CE4_8422_2325, 0x5467_B0DA_1D10_6495),
        Row(1, 1, 100, 32, 46, 4, 0xD94C_85A9_2CDF_0762, 0xD567_95D9_6856_D705),
        Row(127, 63, 30, 32, 47, 2392, 0x9697_17EA_3AA0_838A, 0xC241_A7D6_3FEF_A1C5),
        Row(127, 63, 100, 32, 48, 8004, 0x26BB_627F_6663_4975, 0xE2AA_A54A_B938_5995),
        Row(129, 65, 30, 32, 49, 2572, 0x30B4_EAA5_DF53_7F06, 0x1E49_E20D_B4BD_F558),
        Row(129, 65, 100, 32, 50, 8388, 0xCAAC_3295_0ED3_AB1E, 0x3086_B999_AF46_248D),
        Row(130, 130, 30, 32, 51, 5044, 0xC773_CC62_EFDE_B7E6, 0x6F30_0C24_E883_57C5),
        Row(130, 130, 100, 32, 52, 16900, 0x8F07_7E92_620D_2562, 0xE470_F327_B254_D2BD),
        Row(8, 200, 30, 32, 53, 460, 0x5B58_5D6C_0C5A_04F1, 0xACF4_E5F2_74FD_3D73),
        Row(8, 200, 100, 32, 54, 1600, 0x6B6B_A414_3EDB_C4A3, 0xEF6D_1680_0151_F3A5),
        Row(200, 8, 30, 32, 55, 460, 0xCC0E_DA5D_4835_61F9, 0x091A_0094_3ECA_E362),
        Row(200, 8, 100, 32, 56, 1600, 0xA9AE_61DF_4F6A_7C3B, 0xA4C6_0D8F_D737_536A),
        Row(576, 576, 30, 32, 57, 99772, 0xD5B8_FE1E_F929_1700, 0xEF0E_3DF1_2225_1B4F),
        Row(576, 576, 100, 32, 58, 331776, 0xFE16_EF51_27DC_20B7, 0x5771_8A05_CBB9_273C),
        Row(192, 576, 30, 32, 59, 33220, 0x8FB0_7AA2_9824_76EF, 0xB262_0725_6704_03A4),
        Row(192, 576, 100, 32, 60, 110592, 0x790D_1A55_36A8_BFFC, 0x5733_7F34_D0B1_B8AD),
    ]
}
