"""What catalogues of health data read: addresses, and the categories of Article 51 of Regulation (EU) 2025/327."""

WEB_PAGE = r"https?://[^\s<>\"{}|\\^`]+"  # RFC 3987: what no address holds
EMAIL = r"[^@\s]+@[^@\s]+"
LIST = "https://hdeu-dcat.data.health.europa.eu/resource/authority/healthcategories"
# identifier -> English label
CATEGORIES = {
    "EHRS": "Electronic Health Data from EHRs",
    "DIOH": "Data on factors impacting on health, including socio-economic, environmental and behavioural determinants "
    "of health",
    "NRPE": "Aggregated data on healthcare needs, resources allocated to healthcare, the provision of and access to "
    "healthcare, healthcare expenditure and financing",
    "RPDG": "Data on pathogens that impact human health",
    "HRAD": "Healthcare-related administrative data, including on dispensations, reimbursement claims and "
    "reimbursements",
    "HGPD": "Human genetic, epigenomic and genomic data",
    "HPML": "Other human molecular data such as proteomic, transcriptomic, metabolomic, lipidomic and other omic data",
    "PGEH": "Personal electronic health data automatically generated through medical devices",
    "WELA": "Data from wellness applications",
    "IDHP": "Data on professional status, and on the specialisation and institution of health professionals involved "
    "in the treatment of a natural person",
    "PHDR": "Data from population-based health data registries such as public health registries",
    "MRMR": "Data from medical registries and mortality registries",
    "EHCT": "Data from clinical trials, clinical studies, clinical investigations and performance studies subject to "
    "Regulation (EU) No 536/2014, Regulation (EU) 2024/1938 of the European Parliament and of the Council, Regulation "
    "(EU) 2017/745 and Regulation (EU) 2017/746",
    "EMRD": "Other health data from medical devices",
    "RMMD": "Data from registries for medicinal products and medical devices",
    "RQSH": "Data from research cohorts, questionnaires and surveys related to health, after the first publication of "
    "the related results",
    "EINS": "Health data from biobanks and associated databases",
}
